"""How fast read models are rebuilt, beside a plain COPY of as many rows."""

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.memberships import installation
from domain.facts import Actor, Event, Fact
from domain.member_facts import CodeAccepted, CodeRejected, MemberAdded, MFABound, Registered
from domain.workspace import PolicyEnforced, WorkspaceCreated
from projections.models import MODELS
from projections.progress import EMBEDDED
from twinlock.adapters.mapper import encode
from twinlock.composition import Twinlock
from workers.rebuild import rebuild
from workers.rebuild_marks import Live

START = datetime(2026, 1, 1, tzinfo=UTC)
EACH = 10
"""Events of one member."""
COPY_IN = b"COPY stored_events (originator_id, originator_version, topic, state) FROM STDIN"


def events(count: int) -> Iterator[Event]:
    """A workspace, and members who join, bind and log in."""
    yield _event("workspace/w", 1, 0, WorkspaceCreated())
    yield _event("workspace/w", 2, 1, PolicyEnforced(grace_until=None))
    for version in range(1, EACH + 1):
        for member in range(count // EACH):
            at = version * count + member
            yield _event(f"member/m{member}", version, at, _fact(f"m{member}", version))


def fill(twinlock: Twinlock, count: int) -> int:
    """Store them, and answer how many they are."""
    stored = 0
    with twinlock.connect() as connection, connection.cursor() as cursor:
        with cursor.copy(COPY_IN) as copy:
            for event in events(count):
                row = (event.stream, event.version, event.fact.topic(), encode(event))
                copy.write_row(row)
                stored += 1
        connection.execute("ANALYZE stored_events")
    return stored


def plain_copy(twinlock: Twinlock, table: str, count: int) -> float:
    """Rows a second of a COPY of `count` rows of this table into its like, indexes included."""
    with twinlock.connect() as connection:
        connection.execute(f"CREATE TABLE plain (LIKE {table} INCLUDING ALL)".encode())
        query = f"COPY (SELECT * FROM {table} LIMIT {count}) TO STDOUT".encode()  # noqa: S608 - our own tables
        with connection.cursor() as cursor, cursor.copy(query) as out:
            lines = [bytes(line) for line in out]
        begun = time.monotonic()
        with connection.cursor() as cursor, cursor.copy(b"COPY plain FROM STDIN") as copy:
            for line in lines:
                copy.write(line)
        seconds = time.monotonic() - begun
        connection.execute("DROP TABLE plain")
    return len(lines) / seconds


def measure(twinlock: Twinlock, stored: int) -> Iterator[tuple[str, float, float]]:
    """For each model: events a second, and rows of the audit trail a second of a plain COPY."""
    found = []
    for model in MODELS:
        marks = Live(model.key, EMBEDDED, lambda *_: 0)
        outcome = rebuild(model, twinlock.connect, marks, lambda *_: None)
        found.append((model.key, stored / outcome.seconds))
    copied = plain_copy(twinlock, "audit_trail_v1", stored)
    for key, rate in found:
        yield key, rate, copied


def main() -> None:
    """Print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with installation() as twinlock:
        stored = fill(twinlock, count)
        print(f"{stored:,} events")
        for key, rate, copied in measure(twinlock, stored):
            print(
                f"rebuild {key:<16} {rate:>9,.0f} events/s   plain COPY of as many rows "
                f"{copied:>9,.0f}/s   {copied / rate:.1f} times"
            )


def _fact(member: str, version: int) -> Fact:
    known: dict[int, Fact] = {
        1: Registered(),
        2: MemberAdded(workspace_id="w", member_id=member, role="member"),
        3: MFABound(binding_id="b", step=1, workspace_id="w", login_id=None),
        7: CodeRejected(purpose="login", reason="wrong", login_id="l"),
    }
    accepted: Any = CodeAccepted(purpose="login", binding_id="b", step=version, login_id="l")
    return known.get(version, accepted)


def _event(stream: str, version: int, at: int, fact: Fact) -> Event:
    return Event(
        stream=stream,
        version=version,
        fact=fact,
        at=START + timedelta(milliseconds=at),
        actor=Actor("host", "h"),
        request_id="r",
        workspace_id="w",
    )


if __name__ == "__main__":
    main()
