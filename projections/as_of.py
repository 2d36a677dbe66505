"""As of: what a member, a policy or a workspace's coverage was, from a replay cut there."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Generic, TypeVar

from psycopg import Connection

from domain import member_mfa, stored, workspace
from domain.facts import Aggregate
from domain.member_mfa import MemberMFA
from domain.refusals import Malformed, Unavailable
from domain.times import EPOCH
from domain.workspace import PolicyEnforced, PolicyLifted, Workspace
from projections.audit_trail import TABLES
from projections.coverage import Counts, Item
from projections.journal import COLUMNS, EVENTS, Entry, UnknownType, entry

CHUNK = 500
"""So many members are replayed at a time, whatever the size of the workspace."""
AHEAD = 500
"""Clocks of several processes differ: so many positions further an earlier time is looked for."""
BEFORE = f"""
SELECT notification_id, state FROM {EVENTS} WHERE notification_id <= %s
ORDER BY notification_id DESC LIMIT 1
"""  # noqa: S608 - a constant
AFTER = f"""
SELECT notification_id, state FROM {EVENTS} WHERE notification_id > %s
ORDER BY notification_id LIMIT {AHEAD}
"""  # noqa: S608 - constants
STREAMS = f"""
SELECT {COLUMNS} FROM {EVENTS}
WHERE originator_id = ANY(%s) ORDER BY originator_id, originator_version
"""  # noqa: S608 - constants
EVER_MEMBERS = f"""
SELECT DISTINCT member_id FROM {TABLES[0]}
WHERE workspace_id = %s AND type = 'workspace.member_added' AND member_id IS NOT NULL
"""  # noqa: S608 - a constant

A = TypeVar("A", bound=Aggregate)
StoredRow = tuple[int, str, int, str, bytes]
"""Position, stream, version, topic and state."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A place in the history: events up to `time`, or, unless `by_time`, up to `position`.

    Of the two the one that was not asked for belongs to the last event before the cut.
    """

    time: datetime
    position: int
    by_time: bool

    def holds(self, one: Entry) -> bool:
        """Whether the event lies before the cut."""
        return one.event.at <= self.time if self.by_time else one.position <= self.position


@dataclass(frozen=True, slots=True)
class Answer(Generic[A]):
    """A state as of a cut, and the position of the event that made it so."""

    state: A
    because: int | None


@dataclass(frozen=True, slots=True)
class CoverageThen:
    """A workspace's coverage as of a cut; `items` are all members, in the order of their ids."""

    counts: Counts
    items: list[Item]
    because: int | None


@dataclass(frozen=True, slots=True)
class Step(Generic[A]):
    """What one event changed."""

    before: A
    after: A
    entry: Entry


def refuse_beyond(connection: Connection[Any], position: int, name: str = "as_of") -> None:
    """Raise Malformed for a position that no append has drawn yet."""
    row = connection.execute("SELECT twinlock_last_id()").fetchone()
    end = row[0] if row else 0
    if position > end:
        raise Malformed(f"{name}: position {position} lies beyond the end, which is {end}.")


def at_position(connection: Connection[Any], position: int) -> Cut:
    """The cut behind a position; raises Malformed beyond the end."""
    refuse_beyond(connection, position)
    _, time = _event_before(connection, position)
    return Cut(time, position, by_time=False)


def at_time(connection: Connection[Any], time: datetime, now: datetime) -> Cut:
    """The cut behind a time; raises Malformed for one in the future."""
    if time > now:
        raise Malformed("as_of: the time lies in the future.")
    row = connection.execute("SELECT twinlock_head()").fetchone()
    return Cut(time, _last_position(connection, time, row[0] if row else 0), by_time=True)


def member(connection: Connection[Any], cut: Cut, member_id: str) -> Answer[MemberMFA]:
    """The account; a stranger is one that nothing has happened to."""
    steps = _replay(connection, cut, [f"member/{member_id}"], MemberMFA, member_mfa.evolve)
    told = steps.get(member_id, [])
    state = told[-1].after if told else MemberMFA(member_id)
    if state.status(cut.time) == "enrolling":
        return Answer(state, _newest(told, lambda s: s.before.enrolment != s.after.enrolment))
    return Answer(state, _newest(told, _rebound))


def policy(connection: Connection[Any], cut: Cut, workspace_id: str) -> Answer[Workspace]:
    """The workspace and its policy."""
    name = f"workspace/{workspace_id}"
    told = _replay(connection, cut, [name], Workspace, workspace.evolve).get(workspace_id, [])
    state = told[-1].after if told else Workspace(workspace_id)
    return Answer(state, _newest(told, _sets_policy))


def coverage(connection: Connection[Any], cut: Cut, workspace_id: str) -> CoverageThen:
    """Counts and members; asks the audit trail who was ever a member, and replays those."""
    place = policy(connection, cut, workspace_id)
    reasons = [place.because]
    members: list[MemberMFA] = []
    for chunk in _chunks(_ever_members(connection, workspace_id)):
        streams = [f"member/{id_}" for id_ in chunk]
        for steps in _replay(connection, cut, streams, MemberMFA, member_mfa.evolve).values():
            reasons.append(_newest(steps, lambda step: _covers(step, workspace_id)))
            if workspace_id in steps[-1].after.roles:
                members.append(steps[-1].after)
    items = [_item(each, place.state, cut.time) for each in sorted(members, key=lambda m: m.id)]
    because = max(filter(None, reasons), default=None)
    return CoverageThen(_counts(items, place.state, cut.time), items, because)


def _event_before(connection: Connection[Any], position: int) -> tuple[int, datetime]:
    """The last event up to a position; none is position 0 at the beginning of time.

    One that cannot be read has no time, and concerns its own stream only.
    """
    while row := connection.execute(BEFORE, (position,)).fetchone():
        at = _time(row[1])
        if at is not None:
            return row[0], at
        position = row[0] - 1
    return 0, EPOCH


def _last_position(connection: Connection[Any], time: datetime, head: int) -> int:
    """The last position whose event is not later than `time`, found by halving."""
    low, high = 0, head
    while low < high:
        middle = (low + high + 1) // 2
        position, at = _event_before(connection, middle)
        if at <= time:
            low = middle
        else:
            high = position - 1
    found, _ = _event_before(connection, low)
    return _further(connection, found, time)


def _further(connection: Connection[Any], found: int, time: datetime) -> int:
    while True:
        rows = connection.execute(AFTER, (found,)).fetchall()
        told = ((position, _time(state)) for position, state in rows)
        later = [position for position, at in told if at is not None and at <= time]
        if not later:
            return found
        found = later[-1]


def _time(state: bytes) -> datetime | None:
    try:
        return datetime.fromisoformat(stored.read(state)["time"]).astimezone(UTC)
    except stored.Unreadable:
        return None


def _replay(
    connection: Connection[Any],
    cut: Cut,
    streams: Sequence[str],
    blank: Callable[[str], A],
    evolve: Callable[[A, Any], A],
) -> Mapping[str, list[Step[A]]]:
    """The steps of each stream that has any before the cut, by its id."""
    rows = connection.execute(STREAMS, (list(streams),))
    told = groupby(_entries(rows, cut), key=lambda each: each.stream.partition("/")[2])
    return {id_: list(_steps(blank(id_), evolve, each)) for id_, each in told}


def _entries(rows: Iterable[StoredRow], cut: Cut) -> Iterator[Entry]:
    """The events before the cut; what cannot be read is asked for only where it lies there."""
    for row in rows:
        try:
            one = _entry(row)
        except Unavailable:
            if row[0] <= cut.position:
                raise
        else:
            if cut.holds(one):
                yield one


def _entry(row: StoredRow) -> Entry:
    position, stream, version, topic, state = row
    try:
        return entry(
            position=position,
            stream=stream,
            version=version,
            topic=topic,
            state=stored.read(state),
        )
    except (UnknownType, ValueError, KeyError, TypeError) as error:
        detail = f"The event at position {position} cannot be read."
        raise Unavailable(detail, retry_after=60) from error


def _steps(state: A, evolve: Callable[[A, Any], A], entries: Iterable[Entry]) -> Iterator[Step[A]]:
    for each in entries:
        before, state = state, evolve(state, each.event)
        yield Step(before, state, each)


def _newest(steps: Sequence[Step[A]], made: Callable[[Step[A]], bool]) -> int | None:
    return next((step.entry.position for step in reversed(steps) if made(step)), None)


def _rebound(step: Step[MemberMFA]) -> bool:
    return step.before.binding_id != step.after.binding_id


def _sets_policy(step: Step[Workspace]) -> bool:
    return isinstance(step.entry.event.fact, PolicyEnforced | PolicyLifted)


def _covers(step: Step[MemberMFA], workspace_id: str) -> bool:
    """Whether it changed the coverage: a membership, or a member's binding, set-up or lock."""
    before, after = step.before, step.after
    if before.roles.get(workspace_id) != after.roles.get(workspace_id):
        return True
    shown = _rebound(step) or before.enrolment != after.enrolment or before.lock != after.lock
    return shown and workspace_id in after.roles


def _ever_members(connection: Connection[Any], workspace_id: str) -> list[str]:
    return sorted(row[0] for row in connection.execute(EVER_MEMBERS, (workspace_id,)))


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK))


def _item(one: MemberMFA, place: Workspace, at: datetime) -> Item:
    return Item(
        member_id=one.id,
        role=one.roles[place.id],
        status=one.status(at),
        enrolment_due_at=place.grace_until if not one.bound and place.in_grace(at) else None,
        locked_until=one.locked_until(at),
    )


def _counts(items: Sequence[Item], place: Workspace, at: datetime) -> Counts:
    free = sum(not item.bound for item in items)
    return Counts(
        members=len(items),
        bound=len(items) - free,
        in_grace=free if place.in_grace(at) else 0,
        overdue=free if place.enforces(at) else 0,
        locked=sum(item.locked_until is not None for item in items),
    )
