"""The pages as people meet them, driven in a real browser."""
