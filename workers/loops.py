"""How a worker keeps going: sessions that begin again after a fault, and end when told to."""

import random
import time
from collections.abc import Callable
from threading import Event
from typing import Any

import structlog
from psycopg import Connection

from workers.ports import LogUnavailable

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
HEALTHY_SECONDS = 10.0
TRY_AGAIN = 1.0
"""Seconds between two attempts to lead."""
LEAD = "SELECT pg_try_advisory_lock(hashtextextended('twinlock ' || %s, 0))"

log = structlog.get_logger()


def keep_going(name: str, session: Callable[[], None], stop: Event) -> None:
    """Run sessions until `stop`; the pauses between failing ones grow to two seconds.

    A fault is said once, not at each attempt.
    """
    said: str | None = None
    pause = FIRST_PAUSE
    while not stop.is_set():
        begun = time.monotonic()
        try:
            session()
            pause, fault = FIRST_PAUSE, None
        except Exception as error:  # a worker outlives whatever befalls a session
            fault = _named(error)
        if time.monotonic() - begun > HEALTHY_SECONDS:
            pause, said = FIRST_PAUSE, None
        if fault and fault != said:
            log.warning("worker.interrupted", worker=name, fault=fault)
        said = fault
        if fault:
            stop.wait(pause * random.uniform(0.75, 1.25))  # noqa: S311 - jitter
            pause = min(pause * 2, LONGEST_PAUSE)


def takes_lead(connection: Connection[Any], name: str, stop: Event) -> bool:
    """Wait until this connection leads; False where `stop` was set before."""
    while not leads(connection, name):
        if stop.wait(TRY_AGAIN):
            return False
    return True


def leads(connection: Connection[Any], name: str) -> bool:
    """Whether this connection has, until it ends, the lock of the one leader of that name."""
    row = connection.execute(LEAD, (name,)).fetchone()
    return bool(row and row[0])


def _named(error: Exception) -> str:
    """The kind of fault; messages are repeated only where they are known to hold no data."""
    kind = type(error).__name__
    return f"{kind}: {error}" if isinstance(error, LogUnavailable) else kind
