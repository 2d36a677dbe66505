"""The installation that the tests of a module share."""

from collections.abc import Iterator

import pytest

from tests.http.installation import Installation, installed


@pytest.fixture(scope="module")
def here(module_database: str) -> Iterator[Installation]:
    """A running installation; tests make workspaces and members of their own."""
    with installed(module_database) as installation:
        yield installation
