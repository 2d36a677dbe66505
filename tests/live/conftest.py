"""The parts of the live tests."""

from tests.support.built import twinlock

__all__ = ["twinlock"]
