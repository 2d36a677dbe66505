"""A history with a notary's tree over it, and what a database administrator may do to it."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from commands.ports import Context
from domain.api_token import ApiToken, TokenCreated, TokenRevoked
from domain.facts import Actor, Fact
from domain.notes import Checkpoint
from domain.tampering import Finding
from twinlock.composition import Twinlock
from workers import checkpoints
from workers.history_check import HistoryCheck
from workers.notary import hash_new, sign


def history(twinlock: Twinlock, count: int, *, name: str = "t") -> None:
    """Append tokens made and revoked, in batches, with a hole in the positions now and then."""
    context = Context(at=datetime.now(UTC), actor=Actor("operator", "cli"), request_id="r")
    for start in range(0, count, 200):
        changes: list[Any] = []
        for number in range(start, min(count, start + 200), 2):
            facts: list[Fact] = [TokenCreated(role="host", workspace_id=None, member_id=None)]
            if number + 1 < count:
                facts.append(TokenRevoked())
            changes.append((ApiToken(f"{name}{number}"), facts))
        twinlock.store.append(context, *changes)
        twinlock.database.fetch("select nextval('stored_events_notification_id_seq')")


def notarise(twinlock: Twinlock, outside: list[str] | None = None) -> Checkpoint:
    """Hash everything and sign a checkpoint."""
    with twinlock.connect() as connection:
        while hash_new(connection, twinlock.store):
            pass
        sign(connection, twinlock.notary, outside or [])
    return newest(twinlock)


def newest(twinlock: Twinlock) -> Checkpoint:
    """The last checkpoint."""
    with twinlock.connect() as connection:
        note = checkpoints.newest(connection)
    assert note is not None
    return Checkpoint.parse(twinlock.notary.open(note))


def wait_until_behind(checkpoint: Checkpoint) -> None:
    """Until the second is over in which it was signed."""
    over = checkpoint.made_at + timedelta(seconds=1)
    time.sleep(max(0.0, (over - datetime.now(UTC)).total_seconds()))


def checked(twinlock: Twinlock, outside: list[str] | None = None) -> list[Finding]:
    """What one pass over the history finds."""
    with twinlock.connect() as connection:
        check = HistoryCheck(connection, twinlock.store, twinlock.notary.open, outside or [])
        for _ in check.steps():
            pass
    return check.findings


def told(findings: list[Finding]) -> list[tuple[str, int, int]]:
    """Kinds and positions."""
    return [(each.kind, each.position, each.until) for each in findings]


def do(twinlock: Twinlock, sql: str, *params: Any) -> None:
    """What somebody with the database does behind our back."""
    twinlock.database.execute(sql, params)


def swap(twinlock: Twinlock, one: int, other: int) -> None:
    """Exchange the positions of two events."""
    move = "update stored_events set notification_id = %s where notification_id = %s"
    for to, was in ((-1, one), (one, other), (other, -1)):
        do(twinlock, move, to, was)


Edit = Callable[[list[bytes]], list[bytes]]


def edited(source: Path, target: Path, edit: Edit) -> Path:
    """A copy of an export with other lines."""
    target.write_bytes(b"".join(edit(source.read_bytes().splitlines(keepends=True))))
    return target


def position_of(line: bytes) -> int | None:
    """The position of an event's line."""
    found: int | None = json.loads(line).get("position")
    return found
