"""A whole Twinlock over a real database of its own."""

import base64
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from twinlock.composition import Twinlock, build
from twinlock.settings import Settings


def a_master_key(key_id: str = "k1") -> str:
    """A fresh key as a setting takes it."""
    return f"{key_id}:{base64.b64encode(secrets.token_bytes(32)).decode()}"


def some_settings(uri: str, **others: Any) -> Settings:
    """Settings of a test, without the environment's."""
    given = {"database": SecretStr(uri), "master_key": SecretStr(a_master_key()), **others}
    return Settings(_env_file=None, **given)  # type: ignore[call-arg]


@pytest.fixture
def twinlock(database: str) -> Iterator[Twinlock]:
    """Twinlock on a fresh, migrated database."""
    built = build(some_settings(database))
    built.migrate()
    yield built
    built.close()
