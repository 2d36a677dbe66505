"""A projector takes genuine events once, and sets everything else aside."""

import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from kafka import KafkaProducer
from psycopg import Cursor

from domain.member_mfa import MemberMFA
from domain.refusals import NotYetVisible
from projections import standing
from projections.journal import Entry
from projections.models import MODELS, Model
from projections.progress import complete_up_to, visible, wait_visible
from tests.flow.conftest import Running
from tests.flow.histories import a_workspace, accepted, append, bound, joined
from tests.flow.installation import ROOT
from twinlock.adapters.kafka import PARTITIONS, partition_of
from workers.cloud_events import serialized
from workers.parking import NotOurs, StillFails, parked_record, parked_records, retry

pytestmark = pytest.mark.live
STANDING = MODELS[0]


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)


def refusing(model: Model, type_: str) -> Model:
    """The model, but one type of event breaks it."""

    def apply(cursor: Cursor[Any], entries: Sequence[Entry]) -> None:
        if any(entry.type == type_ for entry in entries):
            raise ValueError("poison")
        model.apply(cursor, entries)

    return replace(model, apply=apply)


def test_a_poison_event_is_parked_and_the_rest_flows(running: Running) -> None:
    twinlock = running.twinlock
    running.relay()
    running.start(running.projector(refusing(STANDING, "mfa.code_accepted")).run)
    append(twinlock, MemberMFA, "m1", *joined("m1"), bound(), accepted(2), accepted(3))
    last = append(twinlock, MemberMFA, "m2", *joined("m2"))
    running.seen(last, STANDING)
    with twinlock.connect() as connection:
        assert standing.member(connection, "m2") == twinlock.store.load(MemberMFA, "m2")
        parked = parked_records(connection)
        assert [(row.reason, row.model) for row in parked] == [("ValueError", STANDING.key)] * 2
        assert standing.see(connection, "w", "m1").behind
        with pytest.raises(StillFails) as failed:
            retry(connection, refusing(STANDING, "mfa.code_accepted"), parked[0])
        assert failed.value.position == parked[0].position
        for row in parked:
            retry(connection, STANDING, row)
        assert parked_records(connection) == []
        assert standing.member(connection, "m1") == twinlock.store.load(MemberMFA, "m1")


def test_two_projectors_of_one_model_apply_each_event_once(running: Running) -> None:
    running.relay()
    running.project(*MODELS)
    running.project(*MODELS)
    members = [f"m{n}" for n in range(40)]
    position = a_workspace(running.twinlock, members)
    running.seen(position)
    with running.twinlock.connect() as connection:
        for member in members:
            expected = running.twinlock.store.load(MemberMFA, member)
            assert standing.member(connection, member) == expected


def test_a_position_beyond_the_head_is_not_visible(running: Running) -> None:
    running.relay()
    running.project(STANDING)
    position = a_workspace(running.twinlock, ["m1"])
    running.seen(position, STANDING)
    with running.twinlock.connect() as connection:
        assert not visible(connection, STANDING.key, position + 1)
        assert complete_up_to(connection, STANDING.key) >= position
    with pytest.raises(NotYetVisible) as refused:
        wait_visible(running.twinlock.reads, STANDING.key, position + 1, timeout=0.05)
    assert refused.value.retry_after == 1


def test_a_position_that_no_event_has_is_passed(running: Running) -> None:
    """An append that failed leaves its position unused."""
    running.relay()
    running.project(STANDING)
    running.seen(a_workspace(running.twinlock, ["m1"]), STANDING)
    with running.twinlock.connect() as connection:
        connection.execute("SELECT nextval('stored_events_notification_id_seq')")
    head = running.twinlock.store.head()
    running.seen(head, STANDING)


def test_after_a_restore_without_kafka_positions_go_on_far_beyond(embedded: Running) -> None:
    page = (ROOT / "docs/operations.md").read_text()
    line = page.partition("`SELECT setval")[2].partition("`")[0]
    told = a_workspace(embedded.twinlock, ["m1"])
    with embedded.twinlock.connect() as connection:
        connection.execute(f"SELECT setval{line}".encode())
    fresh = append(embedded.twinlock, MemberMFA, "m2", *joined("m2"))
    assert fresh > told + 1_000_000
    embedded.project()
    embedded.seen(fresh)


def test_nothing_is_visible_where_no_worker_ever_ran(embedded: Running) -> None:
    position = a_workspace(embedded.twinlock, ["m1"])
    with embedded.twinlock.connect() as connection:
        assert not visible(connection, STANDING.key, position)
        assert complete_up_to(connection, STANDING.key) == 0


@pytest.mark.kafka
def test_forged_and_misplaced_records_are_parked_and_move_no_position(
    on_kafka: Running, kafka: str
) -> None:
    twinlock, topic, envelope = on_kafka.twinlock, on_kafka.log.name, on_kafka.envelope
    on_kafka.relay()
    on_kafka.project(STANDING)
    on_kafka.seen(append(twinlock, MemberMFA, "m1", *joined("m1"), bound()), STANDING)
    genuine = envelope.wrap(twinlock.store.events(0, 10)[-1])
    beyond = {**genuine, "id": "999999"}
    beyond["mac"] = envelope.mac(beyond)
    forged = {**genuine, "id": "4", "data": {**genuine["data"], "step": 99}}
    producer = KafkaProducer(bootstrap_servers=kafka)
    for key, value in (
        ("member/m1", b"no json"),
        ("member/m1", b"\xff\x00" * 9),
        ("member/m1", b"[" * 100_000),
        ("member/m1", os.urandom(10_000)),
        ("member/m1", serialized(forged)),
        ("member/m1", serialized(beyond)),
        ("member/m2", serialized(genuine)),
        ("member/m1", serialized(genuine)),
    ):
        producer.send(topic, key=key.encode(), value=value)
    producer.flush()
    producer.close()
    with twinlock.connect() as connection:
        until(lambda: len(parked_records(connection)) == 7)
        positions = connection.execute("SELECT max(position) FROM progress").fetchone()
        assert positions == (3,)
        assert {row.position for row in parked_records(connection)} == {None}
        row = parked_record(connection, parked_records(connection)[0].id)
        assert row
        with pytest.raises(NotOurs):
            retry(connection, STANDING, row)
    last = append(twinlock, MemberMFA, "m1", accepted(2))
    on_kafka.seen(last, STANDING)
    with twinlock.connect() as connection:
        assert standing.member(connection, "m1") == twinlock.store.load(MemberMFA, "m1")
        assert json.loads(serialized(genuine))["mac"]


@pytest.mark.kafka
def test_what_was_complete_stays_complete_while_newer_events_wait(on_kafka: Running) -> None:
    twinlock, key = on_kafka.twinlock, STANDING.key
    assert len({partition_of(f"member/m{n}", PARTITIONS) for n in (1, 2)}) == 2
    on_kafka.relay()
    on_kafka.project(STANDING)
    append(twinlock, MemberMFA, "m1", *joined("m1"))
    first = append(twinlock, MemberMFA, "m2", *joined("m2"))
    on_kafka.seen(first, STANDING)
    on_kafka.stop()
    on_kafka.relay()
    last = append(twinlock, MemberMFA, "m1", bound())
    with twinlock.connect() as connection:
        until(lambda: connection.execute("SELECT position FROM log_head").fetchone() == (last,))
        assert complete_up_to(connection, key) == first
        assert [visible(connection, key, position) for position in (first, last)] == [True, False]
    on_kafka.project(STANDING)
    on_kafka.seen(last, STANDING)


@pytest.mark.kafka
def test_an_idle_partition_is_not_a_late_one(on_kafka: Running) -> None:
    on_kafka.relay()
    on_kafka.project(STANDING)
    for n in range(5):
        on_kafka.seen(append(on_kafka.twinlock, MemberMFA, "m1", accepted(n), minutes=n), STANDING)
