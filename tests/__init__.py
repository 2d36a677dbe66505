"""Tests are sentences; each folder holds one kind of them."""
