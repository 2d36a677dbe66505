"""The oracle of all faults: what was acknowledged, against a replay of everything that is kept.

Lost is what was acknowledged, or stored, and is missing somewhere: in the store, on the topic, in
a read model, in the audit trail. Doubled is one step accepted twice, one command done twice, one
login granted twice, or one place in a stream taken twice.
"""

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from domain.member_mfa import MemberMFA
from projections.models import MODELS
from tests.faults.ground import Ground, patient
from tests.faults.journal import ACCEPTED, GRANTED, REJECTED, UNBOUND, Acknowledged
from tests.flow.topics import Record, consume
from twinlock.backend import log_of, partition_of
from workers import member_states, rebuild
from workers.rebuild_marks import Live

READ = """
SELECT notification_id, originator_id, originator_version, topic, convert_from(state, 'UTF8')
FROM stored_events ORDER BY notification_id
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """An event as the table has it."""

    position: int
    stream: str
    version: int
    type: str
    data: dict[str, Any]


@dataclass
class Verdict:
    """How many were lost and doubled, and what each of them was."""

    lost: int = 0
    doubled: int = 0
    events: int = 0
    told: list[str] = field(default_factory=list)

    def lose(self, what: str) -> None:
        """One more is lost."""
        self.lost += 1
        self.told.append(f"lost: {what}")

    def double(self, what: str) -> None:
        """One more is doubled."""
        self.doubled += 1
        self.told.append(f"doubled: {what}")


def judge(ground: Ground) -> Verdict:
    """Compare everything, once all is applied."""
    verdict = Verdict()
    with patient(ground.twinlock) as connection:
        history = [_stored(row) for row in connection.execute(READ)]
        rows = connection.execute("SELECT position FROM audit_trail_v1").fetchall()
        aside = connection.execute("SELECT count(DISTINCT record) FROM parked").fetchone()
    verdict.events = len(history)
    _acknowledged(verdict, ground, history)
    _once(verdict, ground, history)
    _same(verdict, "audit trail", {one.position for one in history}, Counter(p for (p,) in rows))
    strange = 0
    if ground.twinlock.settings.kafka:
        strange = _on_the_topic(verdict, ground, history)
        _member_states(verdict, ground, history)
    if aside is not None and aside[0] != strange:
        verdict.lose(f"{aside[0]} records are parked, and {strange} on the topic are not ours")
    _read_models(verdict, ground)
    return verdict


def _stored(row: tuple[Any, ...]) -> Stored:
    position, stream, version, topic, state = row
    return Stored(position, stream, version, topic.rpartition(".v")[0], json.loads(state)["data"])


def _acknowledged(verdict: Verdict, ground: Ground, history: list[Stored]) -> None:
    """Everything that a client was told is there, as it was told."""
    by_position = {one.position: one for one in history}
    by_login = {(one.type, one.data.get("login_id")): one for one in history}
    stored = Counter((one.stream, one.type) for one in history)
    entries = list(ground.journal.entries)
    for (member_id, type_), count in Counter((e.member_id, e.type) for e in entries).items():
        if count > (there := stored[f"member/{member_id}", type_]) and type_ != REJECTED:
            verdict.lose(f"{count - there} {type_} of {member_id}")
    for entry in entries:
        # A repeat after a crash is told a position at or behind that of its event.
        if entry.type == GRANTED and not entry.key:
            continue
        if not _is_there(entry, by_position, by_login):
            verdict.lose(f"{entry.type} of {entry.member_id} at {entry.position}")


def _is_there(
    entry: Acknowledged,
    by_position: dict[int, Stored],
    by_login: dict[tuple[str, str | None], Stored],
) -> bool:
    found = by_position.get(entry.position)
    if entry.type == UNBOUND:  # by a ticket, whose approval is the last event of the append
        approved = (f"ticket/{entry.key}", "ticket.approved")
        return found is not None and (found.stream, found.type) == approved
    if entry.key:
        found = by_login.get((entry.type, entry.key))
    if found is None or found.stream != f"member/{entry.member_id}":
        return False
    if entry.type == ACCEPTED:
        return found.position == entry.position and found.data["step"] == entry.step
    # A refusal's position is that of the append's last event, which may be the lock it led to.
    return entry.type != REJECTED or found.type in (REJECTED, "mfa.locked")


def _once(verdict: Verdict, ground: Ground, history: list[Stored]) -> None:
    """No step twice, no login twice, no command twice, no gap and no fork in a stream."""
    steps = Counter(
        (one.data["binding_id"], one.data["step"])
        for one in history
        if one.type in (ACCEPTED, "mfa.bound")
    )
    logins = Counter(one.data["login_id"] for one in history if one.type in (ACCEPTED, GRANTED))
    places = Counter((one.stream, one.version) for one in history)
    acked = Counter((e.member_id, e.step) for e in ground.journal.entries if e.type == ACCEPTED)
    for name, counted in (("step", steps), ("login", logins), ("place", places), ("ack", acked)):
        for what, count in counted.items():
            if count > 1 and what is not None:
                verdict.double(f"{name} {what}: {count}")
    ends = Counter(one.stream for one in history)
    for stream, version in {one.stream: one.version for one in history}.items():
        if ends[stream] != version:
            verdict.lose(f"{stream} ends at {version} with {ends[stream]} events")
    granted = Counter(one.stream for one in history if one.type == GRANTED)
    for member_id, asked in ground.journal.asked.items():
        if granted[f"member/{member_id}"] > asked:
            verdict.double(f"{granted[f'member/{member_id}']} logins of {member_id} for {asked}")


def _on_the_topic(verdict: Verdict, ground: Ground, history: list[Stored]) -> int:
    """Every event is there, repeats are the same, and each key's first records are in order.

    The order is that of the newest generation, which holds the whole history: where a broker has
    lost records, older ones come again behind newer ones. Answers how many different records are
    no events of the store.
    """
    begins = _begins(ground)
    last: dict[str, int] = {}
    known: dict[int, Record] = {}
    told: set[int] = set()
    strange: set[str] = set()
    stored = {one.position: one.stream for one in history}
    records = consume(ground.twinlock.settings.kafka, ground.topic)
    for record in sorted(records, key=lambda each: (each.partition, each.offset)):
        position = _position(record)
        if stored.get(position) != record.key:
            strange.add(record.payload)
            continue
        if known.setdefault(position, record).payload != record.payload:
            verdict.double(f"two records of {position} differ")
        if record.offset < begins.get(record.partition, 0):
            continue
        if position not in told and position < last.get(record.key, 0):
            verdict.lose(f"the order of {record.key} at {position}")
        told.add(position)
        last[record.key] = max(position, last.get(record.key, 0))
    _same(verdict, "topic", set(stored), Counter(told))
    return len(strange)


def _begins(ground: Ground) -> dict[int, int]:
    """Where the newest generation begins in each partition."""
    with patient(ground.twinlock) as connection:
        rows = connection.execute("SELECT partition, first_offset FROM relay_progress")
        return dict(rows.fetchall())


def _position(record: Record) -> int:
    try:
        return int(record.event["id"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return 0


def _same(verdict: Verdict, name: str, wanted: set[int], found: Counter[int]) -> None:
    for position in sorted(wanted - found.keys()):
        verdict.lose(f"{position} is not in the {name}")
    for position in sorted(found.keys() - wanted):
        verdict.double(f"{position} is in the {name} only")


def _member_states(verdict: Verdict, ground: Ground, history: list[Stored]) -> None:
    """Of each member's records the one with the highest version is what the stream says."""
    topic = f"{ground.topic}{member_states.SUFFIX}"
    records = consume(ground.twinlock.settings.kafka, topic)
    newest = {r.key: r.payload for r in sorted(records, key=lambda each: each.event["version"])}
    for stream in {one.stream for one in history if one.stream.startswith("member/")}:
        member = ground.twinlock.store.load(MemberMFA, stream.partition("/")[2])
        if newest.get(stream) != member_states.state(member).decode():
            verdict.lose(f"the state of {stream} on its topic")


def _read_models(verdict: Verdict, ground: Ground) -> None:
    """Each read model is what a fresh replay of the store makes of it."""
    settings = ground.twinlock.settings
    for model in MODELS:
        marks = Live(model.key, log_of(settings), partition_of(settings))
        outcome = rebuild.check(model, ground.twinlock.connect, marks, lambda *_: None)
        if not outcome.compared or outcome.difference:
            verdict.lose(f"{model.key} differs from a replay: {outcome.difference}")
