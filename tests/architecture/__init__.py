"""Tests of the project's own shape: its arrows, locks, images and documents."""
