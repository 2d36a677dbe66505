"""What is published stays as it was published."""
