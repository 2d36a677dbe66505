"""The compacted topic holds each member's current state, and forgets who was erased."""

import json
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import jsonschema
import pytest
from kafka import KafkaAdminClient, KafkaConsumer

from domain.lockout import CAP, CAP_WINDOW
from domain.member_facts import Erased
from domain.member_mfa import MemberMFA
from domain.refusals import Unavailable
from tests.flow.conftest import Running
from tests.flow.histories import a_workspace, accepted, append
from twinlock.adapters.kafka import KafkaLog
from workers.member_states import MODEL, SCHEMA_OF_STATE, TYPE, Load, MemberStates, state
from workers.ports import Outgoing

pytestmark = [pytest.mark.live, pytest.mark.kafka]


def members_topic(running: Running) -> KafkaLog:
    assert isinstance(running.log, KafkaLog)
    return replace(running.log, topic=f"{running.log.topic}.members", compacted=True)


def worker(running: Running, load: Load | None = None) -> MemberStates:
    twinlock = running.twinlock
    load = load or partial(twinlock.store.load, MemberMFA)
    return MemberStates(twinlock.store, twinlock.connect, members_topic(running), load)


def table(topic: KafkaLog) -> dict[str, Any]:
    """What a consumer holds that keeps the newest record of each key."""
    consumer = KafkaConsumer(
        topic.topic,
        bootstrap_servers=topic.bootstrap,
        auto_offset_reset="earliest",
        group_id=None,
        consumer_timeout_ms=1000,
    )
    held: dict[str, Any] = {}
    for record in consumer:
        held[record.key.decode()] = json.loads(record.value) if record.value else None
    consumer.close()
    return held


def until(running: Running, position: int) -> None:
    for _ in range(1200):
        with running.twinlock.connect() as connection:
            row = connection.execute(
                "SELECT position FROM progress WHERE model = %s", (MODEL,)
            ).fetchone()
        if row and row[0] >= position:
            return
        threading.Event().wait(0.05)
    raise AssertionError("the states never came")


@pytest.fixture
def putting(on_kafka: Running) -> Callable[[], threading.Event]:
    return lambda: on_kafka.start(worker(on_kafka).run)


def test_every_member_has_its_state_and_an_erased_one_none(
    on_kafka: Running, putting: Callable[[], threading.Event]
) -> None:
    a_workspace(on_kafka.twinlock, ["m1", "m2", "m3"])
    putting()
    append(on_kafka.twinlock, MemberMFA, "m1", accepted(7), minutes=5)
    until(on_kafka, append(on_kafka.twinlock, MemberMFA, "m2", Erased()))
    held = table(members_topic(on_kafka))
    assert held["member/m2"] is None
    assert set(held) == {"member/m1", "member/m2", "member/m3"}
    m1 = held["member/m1"]
    jsonschema.validate(m1, dict(SCHEMA_OF_STATE))
    assert (m1["status"], m1["workspaces"]) == ("bound", {"w": "owner"})
    assert m1["last_used_at"] == "2026-05-01T09:05:00.000000Z"
    assert m1["version"] == on_kafka.twinlock.store.load(MemberMFA, "m1").version


def test_what_is_put_twice_changes_nothing(
    on_kafka: Running, putting: Callable[[], threading.Event]
) -> None:
    position = a_workspace(on_kafka.twinlock, ["m1", "m2"])
    stop = putting()
    until(on_kafka, position)
    before = table(members_topic(on_kafka))
    stop.set()
    on_kafka.stop()
    with on_kafka.twinlock.connect() as connection:
        connection.execute("UPDATE progress SET position = 2 WHERE model = %s", (MODEL,))
    putting()
    until(on_kafka, position)
    assert table(members_topic(on_kafka)) == before


def test_a_new_topic_is_filled_again(
    on_kafka: Running, putting: Callable[[], threading.Event]
) -> None:
    position = a_workspace(on_kafka.twinlock, ["m1", "m2"])
    putting()
    until(on_kafka, position)
    before = table(members_topic(on_kafka))
    on_kafka.stop()
    topic = members_topic(on_kafka)
    admin = KafkaAdminClient(bootstrap_servers=topic.bootstrap)
    described = admin.describe_topics([topic.topic])
    assert described
    admin.delete_topics([topic.topic])
    admin.close()
    on_kafka.start(worker(on_kafka).run)
    later = append(on_kafka.twinlock, MemberMFA, "m1", accepted(9))
    until(on_kafka, later)
    held = table(topic)
    assert set(held) == set(before)
    assert held["member/m2"] == before["member/m2"]


def test_a_store_that_was_away_for_a_moment_costs_no_state(on_kafka: Running) -> None:
    position = a_workspace(on_kafka.twinlock, ["m1", "m2"])
    faults = [Unavailable()]

    def load(member_id: str) -> MemberMFA:
        if faults:
            raise faults.pop()
        return on_kafka.twinlock.store.load(MemberMFA, member_id)

    on_kafka.start(worker(on_kafka, load).run)
    until(on_kafka, position)
    assert faults == []
    assert set(table(members_topic(on_kafka))) == {"member/m1", "member/m2"}


def test_a_member_that_cannot_be_read_is_passed_alone(
    on_kafka: Running, putting: Callable[[], threading.Event]
) -> None:
    position = a_workspace(on_kafka.twinlock, ["m1", "m2", "m3"])
    with on_kafka.twinlock.connect() as connection:
        connection.execute("UPDATE stored_events SET state = 'x' WHERE originator_id = 'member/m1'")
    putting()
    until(on_kafka, position)
    assert set(table(members_topic(on_kafka))) == {"member/m2", "member/m3"}


def test_what_a_deposed_leader_put_last_is_put_right(
    on_kafka: Running, putting: Callable[[], threading.Event]
) -> None:
    twinlock, topic = on_kafka.twinlock, members_topic(on_kafka)
    a_workspace(twinlock, ["m1", "m2"])
    older = Outgoing("member/m1", state(twinlock.store.load(MemberMFA, "m1")), {"type": TYPE})
    position = append(twinlock, MemberMFA, "m1", accepted(7), minutes=5)
    putting()
    until(on_kafka, position)
    before = table(topic)["member/m1"]
    on_kafka.stop()
    with closing(topic.writer()) as writer:
        writer.put([older])
    assert table(topic)["member/m1"] != before
    putting()
    until(on_kafka, append(twinlock, MemberMFA, "m2", accepted(8)))
    assert table(topic)["member/m1"] == before


def test_the_lock_that_is_told_is_the_later_of_ladder_and_cap() -> None:
    noon, capped = datetime(2026, 5, 1, 12, tzinfo=UTC), datetime(2026, 5, 31, 12, tzinfo=UTC)
    member = replace(MemberMFA("m"), failed_at=(noon,) * CAP)
    for lock, told in ((None, capped), (noon, capped), (capped + CAP_WINDOW, capped + CAP_WINDOW)):
        said = json.loads(state(replace(member, lock=lock)))["lock_until"]
        assert datetime.fromisoformat(said) == told
    assert json.loads(state(replace(member, failed_at=(noon,) * (CAP - 1))))["lock_until"] is None
