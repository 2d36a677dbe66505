"""A stored event that cannot be read stops its own account, and nobody else's anything."""

import pytest

from domain.member_mfa import MemberMFA
from domain.refusals import Unavailable
from projections import standing
from projections.models import MODELS
from projections.progress import wait_visible
from tests.flow.conftest import Running
from tests.flow.histories import a_workspace, append, bound
from tests.support.command_line import run_twinlock
from twinlock.backend import leaving
from workers.cloud_events import UNREADABLE
from workers.parking import parked_records

pytestmark = pytest.mark.live
BROKEN = """
INSERT INTO stored_events (originator_id, originator_version, topic, state)
SELECT originator_id, max(originator_version) + 1, 'mfa.bound.v1', %s FROM stored_events
WHERE originator_id = 'member/m1' GROUP BY originator_id RETURNING notification_id
"""
NO_EVENTS = (b"\xff", b"no JSON", b'{"data":{}}', b"[" * 100_000, b"null")


def broken(running: Running, state: bytes) -> int:
    """Put something in the place of m1's next event; answers its position."""
    with running.twinlock.connect() as connection:
        row = connection.execute(BROKEN.encode(), (state,)).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("state", NO_EVENTS, ids=("no text", "no JSON", "parts", "deep", "null"))
def test_others_go_on_and_the_place_is_known(running: Running, state: bytes) -> None:
    twinlock = running.twinlock
    running.relay()
    running.project()
    a_workspace(twinlock, ["m1", "m2"])
    place = broken(running, state)
    last = append(twinlock, MemberMFA, "m2", bound())
    for model in MODELS:
        wait_visible(twinlock.reads, model.key, last, timeout=30)
    with twinlock.connect() as connection:
        parked = parked_records(connection)
        assert {(row.position, row.reason) for row in parked} == {
            (place, "unreadable in the store")
        }
        assert len(parked) == len(MODELS)
        assert standing.see(connection, "w", "m1").behind
        assert not standing.see(connection, "w", "m2").behind
    assert twinlock.store.load(MemberMFA, "m2").bound
    with pytest.raises(Unavailable):
        twinlock.store.load(MemberMFA, "m1")
    events, _ = leaving(twinlock, after=place - 1, limit=2, types=None, workspace_id=None)
    told = [(event["id"], event["type"]) for event in events]
    assert told == [(str(place), f"twinlock.{UNREADABLE}"), (str(last), "twinlock.mfa.bound.v1")]
    assert events[0]["data"] == {"type": "mfa.bound.v1"}


def test_the_history_says_where_it_is_and_goes_on_behind_it(embedded: Running) -> None:
    a_workspace(embedded.twinlock, ["m1"])
    place = broken(embedded, b"no JSON")
    last = append(embedded.twinlock, MemberMFA, "m2", bound())
    refused = run_twinlock(embedded.twinlock, "replay", "--from-position", str(place))
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == f"twinlock: the event at position {place} cannot be read\n"
    (line,) = run_twinlock(
        embedded.twinlock, "replay", "--from-position", str(place + 1)
    ).out.splitlines()
    assert line.split()[0] == str(last)
