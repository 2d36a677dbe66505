"""The installation that the attacks of a module are tried on."""

from tests.http.conftest import here

__all__ = ["here"]
