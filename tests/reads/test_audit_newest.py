"""The audit trail, newest first: pages meet, filters hold, and nothing incomplete is shown."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from domain.workspace import Workspace, WorkspaceCreated
from projections import audit_newest, audit_summary, audit_trail
from projections.audit_trail import Filter
from tests.flow.conftest import Running, embedded, envelope
from tests.flow.histories import a_workspace, append
from tests.support.built import twinlock
from twinlock.composition import Twinlock

pytestmark = pytest.mark.live
__all__ = ["embedded", "envelope", "twinlock"]
ALL = Filter()


@pytest.fixture
def connection(embedded: Running) -> Iterator[psycopg.Connection[Any]]:
    """A history of two workspaces that every model has applied."""
    append(embedded.twinlock, Workspace, "v", WorkspaceCreated())
    position = a_workspace(embedded.twinlock, ["m1", "m2"])
    embedded.project()
    embedded.seen(position)
    with embedded.twinlock.connect() as connection:
        yield connection


def positions(rows: list[Any]) -> list[int]:
    return [row.position for row in rows]


def test_the_newest_comes_first(connection: psycopg.Connection[Any]) -> None:
    found = positions(audit_newest.before(connection, ALL))
    assert found == sorted(found, reverse=True)
    assert len(found) == 8


def test_pages_meet_in_both_directions(connection: psycopg.Connection[Any]) -> None:
    everything = positions(audit_newest.before(connection, ALL))
    first = positions(audit_newest.before(connection, ALL, limit=3))
    second = positions(audit_newest.before(connection, ALL, position=first[-1], limit=3))
    assert first + second == everything[:6]
    back = positions(audit_newest.behind(connection, ALL, position=second[0], limit=3))
    assert back == first


def test_filters_hold(connection: psycopg.Connection[Any]) -> None:
    rows = audit_newest.before(connection, Filter(workspace_id="v"))
    assert [row.type for row in rows] == ["workspace.created"]
    assert audit_newest.before(connection, Filter(member_id="m2"), limit=1)[0].member_id == "m2"


def test_times_hold_wherever_the_trail_is_read(connection: psycopg.Connection[Any]) -> None:
    everything = audit_newest.before(connection, ALL)
    at = everything[-1].time
    wanted = Filter(since=at, until=at)
    then = [row.position for row in everything if row.time == at]
    assert positions(audit_newest.before(connection, wanted)) == then
    assert positions(audit_newest.behind(connection, wanted, position=0)) == then
    assert positions(audit_trail.page(connection, wanted)) == then[::-1]
    assert audit_newest.event(connection, then[-1], wanted) == everything[-1]
    found = audit_summary.summary(connection, wanted)
    assert (found.count, found.first, found.last) == (len(then), then[-1], then[0])


FILL = """
INSERT INTO audit_trail_v1
SELECT n, %s + n * interval '1 min' + (n %% 7) * interval '1 hour', 'mfa.code_accepted', 'host',
    'h', 'member/m', 'w', 'm', NULL, 'r', 'ok', '{}'
FROM generate_series(%s, %s) AS n
"""
READ = """
SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables
WHERE relname = 'audit_trail_v1'
"""


@pytest.mark.parametrize("bound", ["since", "until"])
def test_a_time_is_looked_for_where_it_is(connection: psycopg.Connection[Any], bound: str) -> None:
    """Clocks that are hours apart hide no event, and the rest of the trail is not read."""
    begun, first, most = datetime(2020, 1, 1, tzinfo=UTC), 1000, 40_000
    connection.execute(FILL, (begun, first, first + most))
    connection.execute("ANALYZE audit_trail_v1")
    times = {n: begun + timedelta(minutes=n, hours=n % 7) for n in range(first, first + most + 1)}
    asked = times[first + (500 if bound == "until" else most - 500)]
    given: dict[str, Any] = {"member_id": "m", bound: asked}
    wanted = Filter(**given)
    with connection.transaction(force_rollback=True):
        found = audit_trail.page(connection, wanted, until=first + most, limit=most)
        (read,) = connection.execute(READ).fetchone() or (0,)
    later = {n for n, time in times.items() if time >= asked}
    earlier = {n for n, time in times.items() if time <= asked}
    assert positions(found) == sorted(later if bound == "since" else earlier)
    assert len(found) <= read < 10_000


def test_one_event_is_seen_only_by_those_whom_it_concerns(
    connection: psycopg.Connection[Any],
) -> None:
    (row,) = audit_newest.before(connection, Filter(workspace_id="v"))
    assert audit_newest.event(connection, row.position, ALL) == row
    assert audit_newest.event(connection, row.position, Filter(workspace_id="w")) is None


def test_what_is_not_complete_is_not_shown(twinlock: Twinlock, embedded: Running) -> None:
    append(twinlock, Workspace, "v", WorkspaceCreated())
    with twinlock.connect() as connection:
        assert audit_newest.before(connection, ALL) == []
