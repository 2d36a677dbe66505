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

from psycopg import Connection, Copy, OperationalError
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
        fresh, live = (stack.enter_context(connect()) for _ in range(2))
        if not leads(fresh, schema):
            raise Busy("another rebuild or check of this model is under way")
        stack.callback(_drop, fresh, schema)
        home = _set_apart(fresh, schema)
        snapshot = stack.enter_context(ExitStack())
        snapshot.enter_context(history.patient(live, snapshot=True))
        cut = marks.cut(live, history.head(live))
        yield _Build(
            model=model,
            connect=connect,
            marks=marks,
            tell=tell,
            fresh=Side(fresh, schema),
            live=Side(live, home),
            snapshot=snapshot,
            cut=cut,
            outcome=Outcome(position=cut.last),
            done=cut.first,
        )


@dataclass(slots=True, kw_only=True)
class _Build:
    """One rebuild under way; `cut` is what the live tables had when it began.

    Comparing lets go of the `snapshot`; the fresh tables have everything up to `done`.
    """

    model: Model
    connect: Connect
    marks: Live
    tell: Tell
    fresh: Side
    live: Side
    snapshot: ExitStack
    cut: Cut
    outcome: Outcome
    done: int

    def fill(self) -> None:
        """Fill the fresh tables up to where the live ones are."""
        begun = time.monotonic()
        tables, indexes = statements(self.model.schema)
        self.fresh.connection.execute(tables.encode())
        loader = LOADERS.get(self.model.key)
        with self.connect() as reader:
            if loader is None:
                self._apply(history.by_position(reader, 0, self.cut.last), self.cut)
            else:
                self._load(loader, reader)
        self.fresh.connection.execute(indexes.encode())
        for table in self.model.tables:
            self.fresh.connection.execute(SQL("ANALYZE {}").format(Identifier(table)))
        self.outcome.seconds = time.monotonic() - begun

    def compare(self) -> None:
        """Compare table by table with the snapshot of the live ones, and let go of it."""
        self.outcome.compared = self.cut.comparable
        for number, table in enumerate(self.model.tables if self.cut.comparable else ()):
            self.tell("compare", number, len(self.model.tables))
            self.outcome.difference = first_difference(table, self.live, self.fresh)
            if self.outcome.difference:
                break
        self.snapshot.close()

    def catch_up(self) -> None:
        """Follow the store until little is left."""
        while (head := history.head(self.fresh.connection)) > self.done + NEAR:
            self._follow(head)

    def switch(self) -> None:
        """Let the projector wait, catch up, change the tables over and move its marks."""
        for attempt in range(ATTEMPTS):
            wait, done = LOCK_MS[min(attempt, len(LOCK_MS) - 1)], self.done
            try:
                with self.fresh.connection.transaction():
                    self._switch(wait)
                self.outcome.switched = True
                return
            except LockNotAvailable:
                self.done = done  # what was caught up with was rolled back
                time.sleep(0.2)
                self._follow(history.head(self.fresh.connection))
        raise Busy("readers of the live tables never left; the live model is as it was")

    def _switch(self, wait_ms: int) -> None:
        connection, home = self.fresh.connection, self.live.schema
        connection.execute(SQL("SET LOCAL lock_timeout = {}").format(wait_ms))
        self.marks.hold(connection)
        head = history.head(connection)
        self._follow(head)
        for table in self.model.tables:
            connection.execute(SQL("DROP TABLE IF EXISTS {}").format(Identifier(home, table)))
            connection.execute(
                SQL("ALTER TABLE {} SET SCHEMA {}").format(
                    Identifier(self.fresh.schema, table), Identifier(home)
                )
            )
        self.marks.move(connection, head)
        settle_parked(connection, self.model.key, head, self.outcome.failed)
        self.outcome.position = head

    def _follow(self, head: int) -> None:
        self._apply(history.by_position(self.fresh.connection, self.done, head), None)
        self.done = max(self.done, head)

    def _load(self, loader: Loader, reader: Connection[Any]) -> None:
        """Copy final rows, while the server goes on reading and writing beside us."""
        events: Iterator[Any]
        if loader.by_stream:
            whole = history.by_stream(reader, loader.kinds, self.cut.last)
            events = self._read(history.told_of, whole, self.cut)
        else:
            stored = history.at_once(reader, self.cut.last)
            events = self._read(history.entry_of, stored, self.cut)
        with ExitStack() as stack:
            copies = {table: self._copy(stack, table) for table in self.model.tables}
            for table, row in loader.rows(events, self._fail):
                copies[table].write_row(row)

    def _copy(self, stack: ExitStack, table: str) -> Copy:
        """Rows on their way into a table, over a connection of its own: the tables take turns."""
        connection = stack.enter_context(self.connect())
        connection.execute("SET synchronous_commit = off")
        into = SQL("COPY {} FROM STDIN").format(Identifier(self.fresh.schema, table))
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
            with self.fresh.connection.transaction(), self.fresh.connection.cursor() as cursor:
                self.model.apply(cursor, entries)
        except OperationalError:
            raise
        except Exception as error:  # whatever an event breaks is told with its position
            return error
        return None

    def _read(
        self, read: Callable[[StoredRecord], T], stored: Iterable[StoredRecord], cut: Cut | None
    ) -> Iterator[T]:
        last = self.cut.last
        for number, one in enumerate(stored, 1):
            if number % BATCH == 0:
                self.tell("build", min(number, last), last)
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


def _set_apart(fresh: Connection[Any], schema: str) -> str:
    """Let the connection make its tables in an empty schema; answers the one it had before."""
    _drop(fresh, schema)
    row = fresh.execute("SELECT current_schema()").fetchone()
    assert row is not None
    fresh.execute(SQL("CREATE SCHEMA {}").format(Identifier(schema)))
    fresh.execute(SQL("SET search_path = {}, {}").format(*map(Identifier, (schema, row[0]))))
    fresh.execute("SET synchronous_commit = off")
    return str(row[0])


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


def named(models: Iterable[Model]) -> Mapping[str, Model]:
    """The models by their names, without versions."""
    return {model.key.rpartition("-v")[0]: model for model in models}
