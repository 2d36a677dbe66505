"""The event store: streams in PostgreSQL, folded by the domain, appended at an expected version."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, cast

from eventsourcing.application import Application
from eventsourcing.persistence import MapperDeserialisationError
from eventsourcing.utils import Environment
from psycopg import IntegrityError
from psycopg.errors import UniqueViolation

from commands.ports import A, B, Change, Context, Stale, Write
from domain import api_token, audit_export, member_mfa, unbind_ticket, workspace
from domain.api_token import ApiToken
from domain.audit_export import AuditExport
from domain.facts import Aggregate, Event, Fact
from domain.member_mfa import MemberMFA
from domain.refusals import EmailTaken, Unavailable, Unreadable
from domain.unbind_ticket import UnbindTicket
from domain.workspace import Workspace
from projections.journal import EVENTS
from twinlock.adapters.database import Database, Row
from twinlock.adapters.mapper import FactMapper, decode
from twinlock.adapters.recorder import Datastore, Recorder, still
from twinlock.adapters.snapshots import EVERY, Snapshots
from twinlock.adapters.vault import ADDRESS_TAKEN
from twinlock.adapters.wakeups import Notifier, Wakeups
from workers.ports import StoredRecord

Evolve = Callable[[Any, Event], Any]
EVOLVES: Mapping[type[Any], Evolve] = {
    MemberMFA: member_mfa.evolve,
    Workspace: workspace.evolve,
    UnbindTicket: unbind_ticket.evolve,
    ApiToken: api_token.evolve,
    AuditExport: audit_export.evolve,
}

MOST_KNOWN, SHORT = 256, 2 * EVERY
"""So many states are kept beside the very rows that they were folded from, if those are few."""


class EventSourcing(Application[str]):
    """The library's application, over our recorder and mapper."""

    name = "twinlock"

    def construct_env(self, name: str, env: Any = None) -> Environment:
        """Take nothing from the process's environment: settings come from one place."""
        return Environment(
            "",
            {
                "PERSISTENCE_MODULE": "twinlock.adapters.recorder:Factory",
                "APPLICATION_RECORDER_TOPIC": "twinlock.adapters.recorder:Recorder",
                "MAPPER_TOPIC": "twinlock.adapters.mapper:FactMapper",
                "ORIGINATOR_ID_TYPE": "text",
                "CREATE_TABLE": "n",
                "POSTGRES_DBNAME": "",
                "POSTGRES_HOST": "",
                "POSTGRES_USER": "",
                "POSTGRES_PASSWORD": "",
            },
        )


@dataclass(frozen=True, slots=True)
class _Folded:
    """A stream's state, and from how many events beyond its snapshot it was folded."""

    state: Any
    replayed: int


class EventStore:
    """Implements `commands.ports.Store`; also the ordered reader for relay and replay."""

    def __init__(self, database: Database) -> None:
        """Connect nothing yet; threads start at first need, so after a fork."""
        self._database = database
        self._application = EventSourcing()
        recorder = self._application.recorder
        assert isinstance(recorder, Recorder)
        assert isinstance(recorder.datastore, Datastore)
        assert isinstance(self._application.mapper, FactMapper)
        recorder.datastore.database = database
        self._recorder = recorder
        self._snapshots = Snapshots(database)
        self._notifier = Notifier(database)

    @property
    def schema(self) -> Sequence[str]:
        """Idempotent DDL."""
        return (*self._recorder.schema, *self._snapshots.schema)

    def load(self, kind: type[A], stream_id: str, /) -> A:
        """Fold the stream from its newest snapshot; raises Unreadable, or Unavailable for now."""
        stream, topic = _stream(kind, stream_id), self._snapshots.topic(kind)
        return self.fold(kind, stream_id, self._recorder.select_stream(stream, topic))

    def load_pair(self, one: tuple[type[A], str], other: tuple[type[B], str]) -> tuple[A, B]:
        """Fold two streams in one round trip."""
        names = [(_stream(*each), self._snapshots.topic(each[0])) for each in (one, other)]
        first, second = self._recorder.select_pair(*names)
        return self.fold(*one, first), self.fold(*other, second)

    def append(self, context: Context, *changes: Change, also: Iterable[Write] = ()) -> int:
        """Commit every change and write, or raise Stale, EmailTaken or Unavailable."""
        events = [
            _event(context, aggregate, ahead, fact)
            for aggregate, facts in changes
            for ahead, fact in enumerate(facts, 1)
        ]
        # Streams in one order: whoever comes second waits, and nobody waits in a circle.
        events.sort(key=lambda event: event.stream)
        writes = tuple(also)
        if not events and not writes:
            return self.head()
        # Behind the writes: by then nobody else changes the same rows before this is committed.
        unchanged = [aggregate for aggregate, facts in changes if not facts]
        writes += tuple(still(_stream(type(a), a.id), a.version) for a in unchanged)
        if context.once is not None:
            writes = (*writes, context.once(context.refusal))
        try:
            recordings = self._application.events.put(cast(Any, events), writes=writes)
        except IntegrityError as error:
            raise _answer(error) from error
        if not recordings:
            return self.head()
        self._notifier.notify()
        return recordings[-1].notification.id

    def head(self) -> int:
        """The position up to which every event can be read."""
        return self._recorder.max_notification_id()

    def events(
        self, after: int, limit: int = 500, until: int | None = None
    ) -> Sequence[StoredRecord]:
        """The next `limit` records after a position, in order, up to `until` where it is given.

        `until` is what `head` has answered, or less.
        """
        return self._recorder.select_records(after, limit, until)

    def follow(self) -> "Follower":
        """A reader that sleeps until something is appended; for one thread."""
        return Follower(self)

    @property
    def uri(self) -> str:
        """Where the store is."""
        return self._database.uri

    def close(self) -> None:
        """Stop the threads, snapshots under way included."""
        self._notifier.close()
        self._snapshots.close()

    def fold(self, kind: type[A], id_: str, rows: Sequence[Row]) -> A:
        """The state out of rows of (kind, version, topic, state), as the recorder answers them."""
        folded = _known(kind, id_, tuple(rows)) if len(rows) <= SHORT else _fold(kind, id_, rows)
        if folded is None:
            folded = _fold(kind, id_, self._recorder.select_stream(_stream(kind, id_), ""))
        assert folded is not None
        self._snapshots.consider(folded.state, folded.replayed)
        return cast(A, folded.state)


def _fold(kind: type[Any], id_: str, rows: Sequence[Row]) -> _Folded | None:
    """Fold; None where the snapshot is unreadable, which only costs a full replay."""
    state: Any = kind(id_)
    if rows and rows[0][0] == 0:
        state = Snapshots.read(kind, rows[0][3])
        if state is None or (state.id, state.version) != (id_, rows[0][1]):
            return None
        rows = rows[1:]
    stream, evolve = _stream(kind, id_), EVOLVES[kind]
    try:
        for _, version, topic, event in rows:
            if version != state.version + 1:
                raise MapperDeserialisationError(f"{stream} has no version before {version}")
            state = evolve(state, decode(stream, version, topic, event))
    except MapperDeserialisationError as error:
        raise Unreadable("The history cannot be read.", retry_after=60) from error
    return _Folded(state, len(rows))


_known = lru_cache(MOST_KNOWN)(_fold)
"""The same: it depends on the rows alone, and a workspace's are read again with each login."""


class Follower:
    """Reads the store in order and waits for more, on a listening connection of its own."""

    def __init__(self, store: EventStore) -> None:
        """Listen from now on, so that nothing appended after the first read goes unnoticed."""
        self._store = store
        self._wakeups = Wakeups(store.uri)
        self._wakeups.listen()

    def events(
        self, after: int, limit: int = 500, until: int | None = None
    ) -> Sequence[StoredRecord]:
        """The next `limit` records after a position, in order."""
        return self._store.events(after, limit, until)

    def head(self) -> int:
        """The position up to which every event can be read."""
        return self._store.head()

    def wait(self, timeout: float) -> bool:
        """Sleep until something was perhaps appended; says whether there was a wake-up."""
        return self._wakeups.wait(timeout)

    def close(self) -> None:
        """Hang up."""
        self._wakeups.close()


def _stream(kind: type[Any], id_: str) -> str:
    return f"{kind.kind}/{id_}"


def _event(context: Context, aggregate: Aggregate, ahead: int, fact: Fact) -> Event:
    """The fact in its place; time in a stream never goes back."""
    updated_at: datetime = getattr(aggregate, "updated_at", context.at)
    return Event(
        stream=_stream(type(aggregate), aggregate.id),
        version=aggregate.version + ahead,
        fact=fact,
        at=max(context.at, updated_at),
        actor=context.actor,
        request_id=context.request_id,
        workspace_id=_workspace(context, aggregate, fact),
    )


def _workspace(context: Context, aggregate: Aggregate, fact: Fact) -> str | None:
    """Where it happened: what one append does to others' tickets and memberships happens there."""
    if isinstance(aggregate, UnbindTicket) and aggregate.version:
        return aggregate.workspace_id
    if fact.wire_name.startswith("workspace."):
        return getattr(fact, "workspace_id", None) or aggregate.id
    return context.workspace_id


def _answer(error: IntegrityError) -> Exception:
    """What a refused row means to a command."""
    constraint = error.diag.constraint_name
    if isinstance(error, UniqueViolation) and constraint == f"{EVENTS}_pkey":
        return Stale()
    if isinstance(error, UniqueViolation) and constraint == ADDRESS_TAKEN:
        return EmailTaken("The address belongs to another member.")
    return Unavailable("The database refused a row.", retry_after=1)
