"""The real parts that a machine with Python alone can run: for `make run` and for the tests."""
