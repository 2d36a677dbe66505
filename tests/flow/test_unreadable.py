"""A stored event that cannot be read stops the account it belongs to, and nothing else (F18)."""

import json
import threading
import time
from pathlib import Path

import jsonschema
import pytest
from structlog.testing import capture_logs

from domain.member_facts import Registered
from domain.member_mfa import MemberMFA
from domain.refusals import Unavailable
from projections import as_of, audit_trail, standing
from projections.models import MODELS
from tests.flow.conftest import Running
from tests.flow.histories import NOW, a_workspace, accepted, append, bound, joined
from tests.flow.topics import consume
from tests.live.test_notary import at_work
from tests.support.command_line import run_twinlock
from tests.support.notarised import notarise
from twinlock.backend import leaving
from twinlock.composition import Twinlock
from workers import mail_queue
from workers.cloud_events import UNREADABLE
from workers.parking import ParkedRow, parked_records
from workers.relay import Relay, TopicAhead
from workers.schemas import unreadable_schema

pytestmark = pytest.mark.live
EVERY = (*MODELS, mail_queue.MODEL)
GAP = "unreadable in the store"
BREAK = """
INSERT INTO stored_events (originator_id, originator_version, topic, state)
SELECT originator_id, max(originator_version) + 1, %s, %s FROM stored_events
WHERE originator_id = %s GROUP BY originator_id RETURNING notification_id
"""
MEND = "UPDATE stored_events SET state = %s, topic = %s WHERE notification_id = %s"
ENVELOPE = {
    "time": "2026-05-01T09:00:00.000000Z",
    "actor": {"kind": "host", "id": "h1"},
    "request_id": "r",
    "workspace_id": None,
    "subject": "member/m1",
    "data": {},
}


def written(**changed: object) -> bytes:
    """A stored event, but for what is changed."""
    return json.dumps({**ENVELOPE, **changed}).encode()


REVOKED = "mfa.sessions_revoked.v1"
BROKEN = [
    pytest.param(REVOKED, b"no json", GAP, id="no JSON"),
    pytest.param(REVOKED, b"", GAP, id="nothing"),
    pytest.param(REVOKED, b"\xff\x00\xfe", GAP, id="no text"),
    pytest.param(REVOKED, b"[" * 20_000, GAP, id="deep"),
    pytest.param(REVOKED, b"null", GAP, id="no object"),
    pytest.param(REVOKED, b'{"data":{}}', GAP, id="other keys"),
    pytest.param(REVOKED, written(actor="host"), GAP, id="no actor"),
    pytest.param(REVOKED, written(time="yesterday"), GAP, id="no time"),
    pytest.param(REVOKED, written(data={"step": float("nan")}), GAP, id="no number"),
    pytest.param(REVOKED, written(subject="\ud800"), GAP, id="half a character"),
    pytest.param(REVOKED, written(request_id="r" * 300_000), GAP, id="too long"),
    pytest.param("mfa.unheard_of.v1", written(), "unknown type mfa.unheard_of.v1", id="unknown"),
    pytest.param("mfa.bound.v9", written(), "unknown type mfa.bound.v9", id="a later version"),
    pytest.param("mfa.bound.v1", written(), "ValidationError", id="other fields"),
]


def broken(
    twinlock: Twinlock, state: bytes = b"no json", topic: str = REVOKED, member: str = "m1"
) -> int:
    """Put something into the store that is no event of the member's; answers its position."""
    with twinlock.connect() as connection:
        row = connection.execute(BREAK, (topic, state, f"member/{member}")).fetchone()
    assert row is not None
    return int(row[0])


def parked(running: Running) -> list[ParkedRow]:
    with running.twinlock.connect() as connection:
        return parked_records(connection)


def works(twinlock: Twinlock, member: str) -> bool:
    with twinlock.connect() as connection:
        return standing.member(connection, member) == twinlock.store.load(MemberMFA, member)


def trail(twinlock: Twinlock) -> list[int]:
    with twinlock.connect() as connection:
        rows = audit_trail.page(connection, audit_trail.Filter(), limit=500)
    return [row.position for row in rows]


@pytest.mark.parametrize(("topic", "state", "reason"), BROKEN)
def test_it_is_parked_by_every_model_and_the_rest_goes_on(
    embedded: Running, topic: str, state: bytes, reason: str
) -> None:
    twinlock = embedded.twinlock
    embedded.project(*EVERY)
    a_workspace(twinlock, ["m1", "m2"])
    place = broken(twinlock, state, topic)
    last = append(twinlock, MemberMFA, "m2", bound("b2"), accepted(5))
    embedded.seen(last, *EVERY)
    found = {(row.model, row.position, row.reason) for row in parked(embedded)}
    assert found == {(model.key, place, reason) for model in EVERY}
    assert works(twinlock, "m2")
    with pytest.raises(Unavailable):
        twinlock.store.load(MemberMFA, "m1")
    with twinlock.connect() as connection:
        assert standing.see(connection, "w", "m1").behind
    assert trail(twinlock) == [each for each in range(1, last + 1) if each != place]


def test_on_either_log_the_newest_and_many_of_them_are_passed(running: Running) -> None:
    twinlock = running.twinlock
    a_workspace(twinlock, ["m1", "m2", "m3"])
    places = [broken(twinlock, member=member) for member in ("m1", "m2", "m2", "m1")]
    with capture_logs() as logs:
        running.relay()
        running.project(*EVERY)
        running.seen(places[-1], *EVERY)
        assert works(twinlock, "m3")
        running.seen(append(twinlock, MemberMFA, "m3", accepted(9)), *EVERY)
    assert works(twinlock, "m3")
    assert sorted({row.position or 0 for row in parked(running)}) == places
    assert len(parked(running)) == len(places) * len(EVERY)
    alarms = {line["position"] for line in logs if line["event"] == "record.parked"}
    assert alarms == set(places)


def test_a_mended_one_is_applied_with_what_came_after_it(running: Running) -> None:
    twinlock = running.twinlock
    running.relay()
    running.project(*EVERY)
    a_workspace(twinlock, ["m1", "m2"])
    whole = append(twinlock, MemberMFA, "m1", accepted(2))
    healthy = twinlock.store.events(whole - 1, 1)[0]
    place = broken(twinlock)
    running.seen(place, *EVERY)
    said = run_twinlock(twinlock, "parked", "retry", str(parked(running)[0].id))
    assert (said.code, f"position {place} still fails" in said.err) == (1, True)
    with twinlock.connect() as connection:
        connection.execute(MEND, (healthy.state, healthy.topic, place))
    last = append(twinlock, MemberMFA, "m1", accepted(3))
    running.seen(last, *EVERY)
    assert not works(twinlock, "m1")
    for row in parked(running):
        assert run_twinlock(twinlock, "parked", "retry", str(row.id)).code == 0
    assert works(twinlock, "m1")
    assert trail(twinlock) == list(range(1, last + 1))


def test_readers_over_http_see_it_in_its_place(embedded: Running) -> None:
    twinlock = embedded.twinlock
    a_workspace(twinlock, ["m1", "m2"])
    place = broken(twinlock)
    last = append(twinlock, MemberMFA, "m2", bound("b2"))
    events, _ = leaving(twinlock, after=place - 1, limit=2, types=None, workspace_id=None)
    told = [(event["id"], event["type"]) for event in events]
    assert told == [(str(place), f"twinlock.{UNREADABLE}"), (str(last), "twinlock.mfa.bound.v1")]
    assert events[0]["data"] == {"type": REVOKED}
    wanted = frozenset({"mfa.sessions_revoked"})
    events, _ = leaving(twinlock, after=0, limit=9, types=wanted, workspace_id=None)
    assert [event["id"] for event in events] == [str(place)]
    jsonschema.validate(events[0], unreadable_schema())


@pytest.mark.kafka
def test_the_topic_has_a_record_in_its_place(on_kafka: Running, kafka: str) -> None:
    twinlock = on_kafka.twinlock
    a_workspace(twinlock, ["m1", "m2"])
    place = broken(twinlock)
    last = append(twinlock, MemberMFA, "m2", bound("b2"))
    with capture_logs() as logs:
        on_kafka.relay()
        relayed(twinlock, last)
    assert [line["position"] for line in logs if line["event"] == "relay.unreadable_event"] == [
        place
    ]
    on_kafka.stop()
    on_kafka.relay()  # one partition's last record is the one that tells of the gap
    last = append(twinlock, MemberMFA, "m2", accepted(5))
    relayed(twinlock, last)
    records = consume(kafka, on_kafka.log.name)
    told = {int(each.event["id"]): each for each in records}
    assert sorted(int(each.event["id"]) for each in records) == list(range(1, last + 1))
    gap = told[place]
    assert (gap.key, gap.headers["type"]) == ("member/m1", f"twinlock.{UNREADABLE}")
    assert gap.event["subject"] == "member/m1"
    assert gap.event["data"] == {"type": REVOKED}
    assert "no json" not in gap.payload


def relayed(twinlock: Twinlock, position: int) -> None:
    deadline = time.monotonic() + 60
    with twinlock.connect() as connection:
        while connection.execute("SELECT position FROM log_head").fetchone() != (position,):
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.mark.kafka
@pytest.mark.parametrize(("gone_on", "refused"), [(False, False), (True, True)])
def test_a_restored_store_with_one_at_its_end_is_told_apart_all_the_same(
    on_kafka: Running, *, gone_on: bool, refused: bool
) -> None:
    twinlock = on_kafka.twinlock
    on_kafka.relay()
    kept = a_workspace(twinlock, ["m1"])
    last = append(twinlock, MemberMFA, "m2", *joined("m2"), bound("b2"), *map(accepted, (4, 5, 6)))
    relayed(twinlock, last)
    on_kafka.stop()
    with twinlock.connect() as connection:
        connection.execute("DELETE FROM stored_events WHERE notification_id > %s", (kept,))
        connection.execute("SELECT setval('stored_events_notification_id_seq', %s)", (kept,))
    if gone_on:
        append(twinlock, MemberMFA, "m3", *joined("m3"), minutes=60)
    broken(twinlock)
    relay = Relay(twinlock.store, twinlock.connect, on_kafka.log, on_kafka.envelope)  # type: ignore[arg-type]
    if refused:
        with pytest.raises(TopicAhead):
            relay.session(threading.Event())
        return
    on_kafka.relay()
    deadline = time.monotonic() + 60
    while append(twinlock, MemberMFA, "m4", accepted(1)) <= last:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_history_tools_name_it(embedded: Running, tmp_path: Path) -> None:
    twinlock = embedded.twinlock
    a_workspace(twinlock, ["m1", "m2"])
    place = broken(twinlock)
    opened = broken(twinlock, topic="mfa.ticket_opened.v1", member="m2")
    last = append(twinlock, MemberMFA, "m3", Registered())
    said = run_twinlock(twinlock, "replay")
    assert said.code == 1
    assert f"the event at position {place} cannot be read" in said.err
    said = run_twinlock(twinlock, "replay", "--from-position", str(opened + 1))
    assert (said.code, said.out.split()[0]) == (0, str(last))
    said = run_twinlock(twinlock, "replay", "--json", "--to-position", str(place - 1))
    assert (said.code, len(said.out.splitlines())) == (0, place - 1)
    said = run_twinlock(twinlock, "replay", "--member", "m2")
    assert (said.code, f"position {opened} cannot be read" in said.err) == (1, True)
    said = run_twinlock(twinlock, "export", "parquet", str(tmp_path / "all.parquet"))
    assert (said.code, f"position {place} cannot be read" in said.err) == (1, True)
    assert list(tmp_path.iterdir()) == []
    said = run_twinlock(twinlock, "rebuild", "standing")
    assert said.code == 0
    for each in (place, opened):
        assert f"standing: position {each} could not be applied" in said.out


def test_a_replay_to_a_topic_says_what_is_there(embedded: Running, kafka: str, topic: str) -> None:
    twinlock = embedded.twinlock
    place = broken(twinlock) if a_workspace(twinlock, ["m1"]) else 0
    given = {"KAFKA": kafka, "TOPIC": topic}
    said = run_twinlock(twinlock, "replay", "--to-topic", f"{topic}.copy", **given)
    assert said.code == 1
    assert f"the event at position {place} cannot be read; nothing was put" in said.err


def test_proofs_hold_and_name_it(embedded: Running, tmp_path: Path) -> None:
    """It is what was signed, and still no event."""
    twinlock = embedded.twinlock
    a_workspace(twinlock, ["m1"])
    places = [broken(twinlock), broken(twinlock, b"\xff")]
    append(twinlock, MemberMFA, "m2", *joined("m2"))
    notarise(twinlock)
    target = str(tmp_path / "all.ndjson")
    assert run_twinlock(twinlock, "audit", "export", target).code == 0
    for words in (("audit", "verify", target), ("audit", "check")):
        said = run_twinlock(twinlock, *words)
        assert said.code == 0
        named = [line for line in said.out.splitlines() if line.startswith("unreadable")]
        assert named == [f"unreadable: position {place}" for place in places]
        assert "proven" in said.out
    said = run_twinlock(twinlock, "audit", "verify", target, "--json")
    assert json.loads(said.out)["unreadable"] == places


def test_the_notary_goes_on_signing(embedded: Running) -> None:
    twinlock = embedded.twinlock
    a_workspace(twinlock, ["m1"])
    place = broken(twinlock)
    with at_work(twinlock):
        deadline = time.monotonic() + 60
        while signed(twinlock) < place:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def signed(twinlock: Twinlock) -> int:
    with twinlock.connect() as connection:
        row = connection.execute("SELECT max(size) FROM checkpoints").fetchone()
    return int(row[0] or 0) if row else 0


def test_the_past_of_others_can_be_asked_at_any_place(embedded: Running) -> None:
    twinlock = embedded.twinlock
    before = a_workspace(twinlock, ["m1", "m2"])
    places = [broken(twinlock), broken(twinlock)]
    last = append(twinlock, MemberMFA, "m2", bound("b2"), minutes=5)
    with twinlock.connect() as connection:
        for position in range(1, last + 1):
            cut = as_of.at_position(connection, position)
            assert (as_of.member(connection, cut, "m2").state.bound) == (position == last)
            assert as_of.policy(connection, cut, "w").state.created
        cut = as_of.at_time(connection, NOW, NOW)
        assert cut.position == before
        assert as_of.member(connection, cut, "m1").state.bound
        cut = as_of.at_position(connection, places[0])
        with pytest.raises(Unavailable, match=f"position {places[0]} cannot be read"):
            as_of.member(connection, cut, "m1")
