"""Tells readers that events were appended, after the commit and without a lock in its way."""

import threading
import time
from typing import Any, Final

import psycopg

from domain.refusals import Unavailable
from twinlock.adapters.database import Database, connect_arguments
from twinlock.adapters.recorder import CHANNEL

AWAY: Final = 0.25
"""Seconds without a wake-up where the database is away: one may be lost, an event is not."""
GATHER: Final = 0.005
"""Seconds between two wake-ups of one process: an append alone is told at once, a burst together.

Each is a statement and a transaction of its own; readers take all that is there anyway.
"""


class Notifier:
    """One thread that turns any number of appends into one NOTIFY at a time."""

    def __init__(self, database: Database) -> None:
        """Start nothing yet."""
        self._database = database
        self._appended = threading.Event()
        self._closing = False
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def notify(self) -> None:
        """Have readers woken, soon; never waits and never fails."""
        if self._thread is None:
            self._start()
        self._appended.set()

    def close(self) -> None:
        """End the thread, after a last wake-up."""
        self._closing = True
        self._appended.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
            self._thread = None

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="twinlock-notifier", daemon=True
                )
                self._thread.start()

    def _run(self) -> None:
        last = False
        while not last:
            self._appended.wait()
            self._appended.clear()
            last = self._closing
            try:
                self._database.execute(f"notify {CHANNEL}")
                time.sleep(GATHER)
            except Unavailable:
                time.sleep(AWAY)  # readers look by themselves meanwhile


class Wakeups:
    """LISTENs on a connection of its own; listen first, then read, then wait."""

    def __init__(self, uri: str) -> None:
        """Connect to nothing yet."""
        self._uri = uri
        self._connection: psycopg.Connection[Any] | None = None

    def wait(self, timeout: float) -> bool:
        """Sleep until something was appended or `timeout` seconds passed; says which."""
        if self._connection is None:
            self.listen()
        if self._connection is None:
            time.sleep(timeout)
            return False
        try:
            return bool(list(self._connection.notifies(timeout=timeout, stop_after=1)))
        except psycopg.Error:
            self.close()
            return False

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def listen(self) -> None:
        """Connect and listen; a server that is away is tried again at the next wait."""
        try:
            arguments = connect_arguments(self._uri, statement_seconds=0)
            self._connection = psycopg.connect(**arguments, autocommit=True)
            self._connection.execute(f"listen {CHANNEL}")
        except psycopg.Error:
            self.close()
