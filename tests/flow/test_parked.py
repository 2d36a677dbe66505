"""Records that cannot be applied are listed, shown and tried again from the command line."""

import json
import time
from datetime import UTC

import pytest

from domain.member_mfa import MemberMFA
from projections import standing
from projections.models import MODELS
from tests.flow.conftest import Running
from tests.flow.histories import accepted, append, bound, joined
from tests.flow.test_projector import refusing
from tests.support.command_line import run_twinlock
from twinlock.composition import Twinlock
from workers.judging import Parked
from workers.parking import ParkedRow, park, parked_records
from workers.ports import Delivery

pytestmark = pytest.mark.live
STANDING, TICKETS, AUDIT = MODELS
FUTURE = """
INSERT INTO stored_events (originator_id, originator_version, topic, state)
SELECT originator_id, originator_version + 1, 'mfa.bound.v9', state FROM stored_events
WHERE originator_id = 'member/m1' ORDER BY originator_version DESC LIMIT 1
"""


def parked(running: Running, count: int) -> list[ParkedRow]:
    for _ in range(1200):
        with running.twinlock.connect() as connection:
            rows = parked_records(connection)
        if len(rows) >= count:
            return rows
        time.sleep(0.05)
    raise AssertionError("nothing was parked")


def test_a_mended_event_is_applied_again(
    embedded: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    twinlock = embedded.twinlock
    embedded.start(embedded.projector(refusing(STANDING, "mfa.code_accepted")).run)
    append(twinlock, MemberMFA, "m1", *joined("m1"), bound(), accepted(2))
    (row,) = parked(embedded, 1)
    embedded.stop()
    (told,) = json.loads(run_twinlock(twinlock, "parked", "list", "--json").out)
    assert (told["model"], told["position"]) == ("standing-v1", 4)
    monkeypatch.setenv("PGTZ", "Asia/Shanghai")
    monkeypatch.setenv("COLUMNS", "120")
    listed = run_twinlock(twinlock, "parked", "list")
    assert f"{row.parked_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" in listed.out
    assert (listed.code, "standing-v1" in listed.out, "ValueError" in listed.out) == (0, True, True)
    shown = run_twinlock(twinlock, "parked", "show", str(row.id))
    assert '"type":"twinlock.mfa.code_accepted.v1"' in shown.out
    as_json = json.loads(run_twinlock(twinlock, "parked", "show", str(row.id), "--json").out)
    assert as_json == {**told, "record": shown.out.removesuffix("\n")}
    tried = run_twinlock(twinlock, "parked", "retry", str(row.id))
    assert (tried.code, tried.out) == (0, "applied: position 4 in standing-v1\n")
    with twinlock.connect() as connection:
        assert run_twinlock(twinlock, "parked", "list").out == "nothing is parked\n"
        assert standing.member(connection, "m1") == twinlock.store.load(MemberMFA, "m1")


def test_an_event_of_a_future_release_waits_for_it(embedded: Running) -> None:
    twinlock = embedded.twinlock
    append(twinlock, MemberMFA, "m1", *joined("m1"))
    with twinlock.connect() as connection:
        connection.execute(FUTURE.encode())
    last = append(twinlock, MemberMFA, "m2", *joined("m2"))
    embedded.project(AUDIT)
    (row,) = parked(embedded, 1)
    assert (row.position, row.reason) == (3, "unknown type mfa.bound.v9")
    tried = run_twinlock(twinlock, "parked", "retry", str(row.id))
    assert tried.code == 1
    assert "position 3 still fails in audit_trail-v1: UnknownType mfa.bound.v9" in tried.err
    assert tried.err.count("\n") == 1
    said = run_twinlock(twinlock, "replay", "--from-position", "3")
    assert "mfa.bound.v9" in said.out.splitlines()[0]
    assert len(said.out.splitlines()) == last - 2


def test_records_are_discarded_together(twinlock: Twinlock) -> None:
    with twinlock.connect() as connection, connection.cursor() as cursor:
        records = (Delivery(0, offset, "", b"{}") for offset in range(3))
        park(cursor, "standing-v1", [Parked(record, "not in the store") for record in records])
        first, second, third = (row.id for row in parked_records(connection))
        said = run_twinlock(twinlock, "parked", "discard", str(third), "99", str(first))
        assert (said.code, said.err) == (1, "twinlock: no such record: 99\n")
        assert said.out == f"discarded: {first}\ndiscarded: {third}\n"
        assert [row.id for row in parked_records(connection)] == [second]


@pytest.mark.parametrize("id_", ["99", "99999999999999999999"])
@pytest.mark.parametrize("what", ["show", "retry", "discard"])
def test_a_record_that_is_not_there(embedded: Running, what: str, id_: str) -> None:
    said = run_twinlock(embedded.twinlock, "parked", what, id_)
    assert (said.code, "no such record" in said.err) == (1, True)
