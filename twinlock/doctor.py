"""Checks of everything that Twinlock needs: one finding each, and what to do about it."""

import smtplib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import psycopg

from domain.refusals import Unavailable
from twinlock.adapters.database import Unfit, told
from twinlock.adapters.faults import named
from twinlock.backend import kafka, outbox
from twinlock.composition import Twinlock, build, keyring
from twinlock.settings import Settings
from workers.ports import LogUnavailable

SKEW_SECONDS: Final = 2.0
MEND: Final = "Is the server up, and TWINLOCK_{} right?"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, in one line."""

    name: str
    well: bool
    detail: str

    def __str__(self) -> str:
        """Say it."""
        return f"{'ok  ' if self.well else 'FAIL'}  {self.name:<9} {self.detail}"


def examine(settings: Settings) -> list[Finding]:
    """Check all of it; never raises."""
    with closing(build(settings)) as twinlock:
        return list(_findings(twinlock))


def _findings(twinlock: Twinlock) -> Iterator[Finding]:
    settings = twinlock.settings
    uri = twinlock.database.uri
    yield _check("database", uri, lambda: _database(twinlock))
    yield _check("clock", uri, lambda: _clock(twinlock))
    yield _check("keys", uri, lambda: _keys(twinlock))
    yield _check("broker", uri, lambda: _broker(settings))
    yield _check("mail", uri, lambda: _mail(settings))


def _check(name: str, uri: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, look())
    except (Unfit, _Ill) as error:
        return Finding(name, False, str(error))
    except (Unavailable, psycopg.Error) as error:
        return Finding(name, False, told(error, uri))
    except (OSError, smtplib.SMTPException) as error:
        return Finding(name, False, f"cannot be reached ({named(error)}). {MEND.format('SMTP')}")


class _Ill(Exception):
    """A check failed; the message says what it found."""


def _database(twinlock: Twinlock) -> str:
    twinlock.check_writes()
    row = twinlock.database.fetch_one("select current_setting('server_version')")
    return f"PostgreSQL {row[0] if row else '?'}, {twinlock.store.head()} is the last position"


def _clock(twinlock: Twinlock) -> str:
    before = datetime.now(UTC)
    row = twinlock.database.fetch_one("select clock_timestamp()")
    assert row is not None
    middle = before + (datetime.now(UTC) - before) / 2
    skew = abs((row[0] - middle).total_seconds())
    if skew > SKEW_SECONDS:
        raise _Ill(f"{skew:.1f} s away from the database's: codes depend on it, synchronise both")
    return f"{skew * 1000:.0f} ms away from the database's"


def _keys(twinlock: Twinlock) -> str:
    twinlock.check_database()
    with twinlock.connect() as connection:
        counts = twinlock.vault.key_ids(connection)
    wrapped = ", ".join(f"{count} under {key}" for key, count in sorted(counts.items()))
    if missing := counts.keys() - keyring(twinlock.settings).ids:
        raise _Ill(f"data keys: {wrapped}; missing master keys: {', '.join(sorted(missing))}")
    twinlock.check_keys()
    published = len(twinlock.passes.jwks()["keys"])
    return f"data keys: {wrapped}; pass keys published: {published}"


def _broker(settings: Settings) -> str:
    if not settings.kafka:
        return "none: the embedded log"
    try:
        topics = kafka(settings).topics()
    except LogUnavailable as error:
        raise _Ill(f"cannot be reached ({error}). {MEND.format('KAFKA')}") from None
    there = "is there" if settings.topic in topics else "will be made by the relay"
    return f"{settings.kafka} answers; the topic {settings.topic} {there}"


def _mail(settings: Settings) -> str:
    with closing(outbox(settings).connection()) as server:
        server.noop()
    return f"{settings.smtp} answers"
