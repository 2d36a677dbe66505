"""Builds a read model anew beside the live one, compares the two, and switches in one transaction.

The fresh tables have the names of the live ones, in a schema of their own: what applies events to
the one applies them to the other. Readers see the live tables until the switch, and the projector
goes on; it waits for the moment of the switch, and then drops what the fresh tables have.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

from psycopg import Connection, Copy
from psycopg.errors import LockNotAvailable
from psycopg.sql import SQL, Identifier

from projections.bulk import LOADERS, Loader
from projections.journal import Entry
from projections.models import Model
from workers import history
from workers.comparing import Difference, Side, first_difference
from workers.loops import leads
from workers.ports import Connect, StoredRecord
from workers.rebuild_marks import Cut, Live, settle_parked

BATCH = 2_000
NEAR = 1_000
"""So many positions behind the head, the rest is caught up with while the projector waits."""
LOCK_MS = (200, 200, 500, 500, 800)
"""How long each attempt waits for readers to leave; new ones queue behind it meanwhile.

Less than a second, after which the server would look for deadlocks and might end a reader.
"""
ATTEMPTS = 100

T = TypeVar("T")
Tell = Callable[[str, int, int], None]
"""Progress: what is being done, how many positions of it, of how many."""


class Busy(Exception):
    """Another rebuild of the same model is under way, or readers never leave."""


@dataclass(slots=True)
class Outcome:
    """How a rebuild or a check went; `failed` are positions that the model cannot apply.

    `difference` is the first one; `compared` is False where nothing live could be compared with.
    """

    position: int = 0
    events: int = 0
    seconds: float = 0.0
    compared: bool = False
    difference: Difference | None = None
    failed: dict[int, str] = field(default_factory=dict)
    switched: bool = False


def rebuild(model: Model, connect: Connect, marks: Live, tell: Tell) -> Outcome:
    """Build, compare and switch; raises Busy."""
    with _building(model, connect, marks, tell) as build:
        build.fill()
        build.compare()
        build.catch_up()
        build.switch()
        return build.outcome


def check(model: Model, connect: Connect, marks: Live, tell: Tell) -> Outcome:
    """Build and compare only; raises Busy."""
    with _building(model, connect, marks, tell) as build:
        build.fill()
        build.compare()
        return build.outcome


@contextmanager
def _building(model: Model, connect: Connect, marks: Live, tell: Tell) -> Iterator["_Build"]:
    """Connections, the lock, a snapshot of what is live, and empty tables beside it."""
    schema = f"rebuild_{model.key.replace('-', '_')}"
    with ExitStack() as stack:
        fresh, reader, live = (stack.enter_context(connect()) for _ in range(3))
        if not leads(fresh, schema):
            raise Busy("another rebuild or check of this model is under way")
        stack.callback(_drop, fresh, schema)
        _drop(fresh, schema)
        home = _one(fresh, "SELECT current_schema()")
        fresh.execute(SQL("CREATE SCHEMA {}").format(Identifier(schema)))
        fresh.execute(SQL("SET search_path = {}, {}").format(*map(Identifier, (schema, home))))
        fresh.execute("SET synchronous_commit = off")
        snapshot = stack.enter_context(ExitStack())
        snapshot.enter_context(history.patient(live, snapshot=True))
        yield _Build(
            model, connect, marks, tell, reader, Side(fresh, schema), Side(live, home), snapshot
        )


class _Build:
    """One rebuild under way."""

    def __init__(
        self,
        model: Model,
        connect: Connect,
        marks: Live,
        tell: Tell,
        reader: Connection[Any],
        fresh: Side,
        live: Side,
        snapshot: ExitStack,
    ) -> None:
        self._model, self._marks, self._tell = model, marks, tell
        self._connect, self._reader, self._fresh = connect, reader, fresh.connection
        self._schema, self._home = fresh.schema, live.schema
        self._sides, self._snapshot = (live, fresh), snapshot
        self._cut: Cut = marks.cut(live.connection, history.head(live.connection))
        self.outcome = Outcome(position=self._cut.last)
        self._done = self._cut.first

    def fill(self) -> None:
        """Fill the fresh tables up to where the live ones are."""
        begun = time.monotonic()
        tables, indexes = statements(self._model.schema)
        self._fresh.execute(tables.encode())
        loader = LOADERS.get(self._model.key)
        if loader is None:
            self._apply(history.by_position(self._reader, 0, self._cut.last), self._cut)
        else:
            self._load(loader)
        self._fresh.execute(indexes.encode())
        for table in self._model.tables:
            self._fresh.execute(SQL("ANALYZE {}").format(Identifier(table)))
        self.outcome.seconds = time.monotonic() - begun

    def compare(self) -> None:
        """Compare table by table with the snapshot of the live ones, and let go of it."""
        self.outcome.compared = self._cut.comparable
        for number, table in enumerate(self._model.tables if self._cut.comparable else ()):
            self._tell("compare", number, len(self._model.tables))
            self.outcome.difference = first_difference(table, *self._sides)
            if self.outcome.difference:
                break
        self._snapshot.close()

    def catch_up(self) -> None:
        """Follow the store until little is left."""
        while (head := history.head(self._fresh)) > self._done + NEAR:
            self._follow(head)

    def switch(self) -> None:
        """Let the projector wait, catch up, change the tables over and move its marks."""
        for attempt in range(ATTEMPTS):
            wait, done = LOCK_MS[min(attempt, len(LOCK_MS) - 1)], self._done
            try:
                with self._fresh.transaction():
                    self._switch(wait)
                self.outcome.switched = True
                return
            except LockNotAvailable:
                self._done = done  # what was caught up with was rolled back
                time.sleep(0.2)
                self._follow(history.head(self._fresh))
        raise Busy("readers of the live tables never left; the live model is as it was")

    def _switch(self, wait_ms: int) -> None:
        self._fresh.execute(SQL("SET LOCAL lock_timeout = {}").format(wait_ms))
        self._marks.hold(self._fresh)
        head = history.head(self._fresh)
        self._follow(head)
        for table in self._model.tables:
            self._fresh.execute(
                SQL("DROP TABLE IF EXISTS {}").format(Identifier(self._home, table))
            )
            self._fresh.execute(
                SQL("ALTER TABLE {} SET SCHEMA {}").format(
                    Identifier(self._schema, table), Identifier(self._home)
                )
            )
        self._marks.move(self._fresh, head)
        settle_parked(self._fresh, self._model.key, head, self.outcome.failed)
        self.outcome.position = head

    def _follow(self, head: int) -> None:
        self._apply(history.by_position(self._fresh, self._done, head), None)
        self._done = max(self._done, head)

    def _load(self, loader: Loader) -> None:
        """Copy final rows, while the server goes on reading and writing beside us."""
        last, read = self._cut.last, history.told_of if loader.by_stream else history.entry_of
        if loader.by_stream:
            stored = history.by_stream(self._reader, loader.kinds, last)
        else:
            stored = history.at_once(self._reader, last)
        events = self._read(read, stored, self._cut)
        with ExitStack() as stack:
            copies = {table: self._copy(stack, table) for table in self._model.tables}
            for table, row in loader.rows(events, self._fail):
                copies[table].write_row(row)

    def _copy(self, stack: ExitStack, table: str) -> Copy:
        """Rows on their way into a table, over a connection of its own: the tables take turns."""
        connection = stack.enter_context(self._connect())
        connection.execute("SET synchronous_commit = off")
        into = SQL("COPY {} FROM STDIN").format(Identifier(self._schema, table))
        return stack.enter_context(connection.cursor().copy(into))

    def _apply(self, stored: Iterable[StoredRecord], cut: Cut | None) -> None:
        """Apply in batches as projectors do, and one by one where a batch fails."""
        entries = self._read(history.entry_of, stored, cut)
        while batch := list(islice(entries, BATCH)):
            if self._attempt(batch) is not None:
                for entry in batch:
                    if error := self._attempt([entry]):
                        self._fail(entry.position, error)

    def _attempt(self, entries: Sequence[Entry]) -> Exception | None:
        try:
            with self._fresh.transaction(), self._fresh.cursor() as cursor:
                self._model.apply(cursor, entries)
        except LockNotAvailable:
            raise
        except Exception as error:  # whatever an event breaks is told with its position
            return error
        return None

    def _read(
        self, read: Callable[[StoredRecord], T], stored: Iterable[StoredRecord], cut: Cut | None
    ) -> Iterator[T]:
        last = self._cut.last
        for number, one in enumerate(stored, 1):
            if number % BATCH == 0:
                self._tell("build", min(number, last), last)
            if cut is not None and not cut.holds(one.position, one.stream):
                continue
            try:
                event = read(one)
            except Exception as error:  # the same: an event of another release, or a broken one
                self._fail(one.position, error)
                continue
            self.outcome.events += cut is not None
            yield event

    def _fail(self, position: int, error: Exception) -> None:
        self.outcome.failed[position] = type(error).__name__


def _drop(connection: Connection[Any], schema: str) -> None:
    """Drop what was built, best effort: the next rebuild begins with it."""
    with suppress(Exception):
        connection.execute("SET client_min_messages = warning")
        connection.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(schema)))


def statements(schema: str) -> tuple[str, str]:
    """The schema's tables, and its indexes, which are cheaper to make at the end."""
    parts = [part.strip() for part in schema.split(";") if part.strip()]
    tables = [part for part in parts if part.startswith("CREATE TABLE")]
    return "; ".join(tables), "; ".join(part for part in parts if part not in tables) or "SELECT"


def _one(connection: Connection[Any], query: str) -> str:
    row = connection.execute(query.encode()).fetchone()
    return str(row[0]) if row else ""


def named(models: Iterable[Model]) -> Mapping[str, Model]:
    """The models by their names, without versions."""
    return {model.key.rpartition("-v")[0]: model for model in models}
