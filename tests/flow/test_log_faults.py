"""Nothing is lost or doubled through kills, lost topics, absent brokers and deposed leaders."""

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from structlog.testing import capture_logs

from domain.member_mfa import MemberMFA
from projections import standing
from projections.models import MODELS
from projections.progress import EMBEDDED, choose, visible
from tests.flow.conftest import Running, sweep
from tests.flow.histories import a_workspace, accepted, append, bound, joined
from twinlock.adapters.kafka import PARTITIONS, KafkaLog, partition_of
from twinlock.composition import Twinlock
from twinlock.dev.kafka import KafkaBroker
from workers.cloud_events import headers, serialized
from workers.ports import Outgoing
from workers.rebuild import rebuild
from workers.rebuild_marks import Live
from workers.relay import Relay

pytestmark = [pytest.mark.live, pytest.mark.kafka]
ROOT = Path(__file__).parents[2]


def until(true: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)


def all_visible(twinlock: Twinlock, position: int) -> bool:
    with twinlock.connect() as connection:
        return all(visible(connection, model.key, position) for model in MODELS)


def relayed(twinlock: Twinlock) -> int:
    with twinlock.connect() as connection:
        row = connection.execute("SELECT position FROM log_head").fetchone()
        return row[0] if row else 0


def generation(twinlock: Twinlock) -> int:
    with twinlock.connect() as connection:
        row = connection.execute("SELECT generation FROM log_head").fetchone()
        return row[0] if row else 0


def records(kafka: str, topic: str) -> list[Any]:
    consumer = KafkaConsumer(
        topic, bootstrap_servers=kafka, auto_offset_reset="earliest", consumer_timeout_ms=2000
    )
    found = list(consumer)
    consumer.close()
    return found


def equal_to_the_store(twinlock: Twinlock, members: list[str]) -> None:
    stored = twinlock.store.events(0, 10**6)
    with twinlock.connect() as connection:
        rows = connection.execute("SELECT position FROM audit_trail_v1 ORDER BY 1").fetchall()
        assert [position for (position,) in rows] == [record.position for record in stored]
        for member in members:
            assert standing.member(connection, member) == twinlock.store.load(MemberMFA, member)
        assert connection.execute("SELECT count(*) FROM parked").fetchone() == (0,)


def test_kills_of_relay_and_projectors_lose_and_double_nothing(
    on_kafka: Running, kafka: str
) -> None:
    twinlock, topic = on_kafka.twinlock, on_kafka.log.name
    master = twinlock.settings.master_key
    assert master
    environment = {
        **os.environ,
        "T_DATABASE": twinlock.database.uri,
        "T_MASTER_KEY": master.get_secret_value(),
        "T_KAFKA": kafka,
        "T_TOPIC": topic,
    }

    def started() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.flow.worker_process", "relay", "project"]
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE)

    members = [f"m{n}" for n in range(20)]
    for member in members:
        append(twinlock, MemberMFA, member, *joined(member), bound())
    workers, chance = [started(), started()], random.Random(7)
    try:
        for n in range(1000):
            append(twinlock, MemberMFA, members[n % 20], accepted(n), minutes=n)
            if n % 125 == 100:
                time.sleep(chance.uniform(1, 3))
                one = chance.randrange(2)
                workers[one].kill()
                workers[one].communicate()
                workers[one] = started()
        head = twinlock.store.head()
        until(lambda: all_visible(twinlock, head))
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == b"ready\n"
            worker.terminate()
        assert [worker.wait(60) for worker in workers] == [0, 0]  # 0: in ten seconds, by its clock
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    equal_to_the_store(twinlock, members)
    found = records(kafka, topic)
    stored = twinlock.store.events(0, 10**6)
    assert {int(json.loads(r.value)["id"]) for r in found} == {r.position for r in stored}
    assert {r.key.decode() for r in found} == {r.stream for r in stored}
    of_key: dict[bytes, list[int]] = {}
    for record in found:
        of_key.setdefault(record.key, []).append(int(json.loads(record.value)["id"]))
    assert all(sorted(set(ids)) == list(dict.fromkeys(ids)) for ids in of_key.values())


def test_a_relay_that_starts_again_repeats_only_what_it_had_not_recorded(
    on_kafka: Running, kafka: str
) -> None:
    twinlock = on_kafka.twinlock
    ends = [0]
    for n in range(3):
        ends.append(a_workspace(twinlock, [f"a{n}", f"b{n}"], f"w{n}"))
        on_kafka.relay()
        until(lambda: relayed(twinlock) >= ends[-1])
        on_kafka.stop()
    ids = Counter(int(json.loads(r.value)["id"]) for r in records(kafka, on_kafka.log.name))
    stored = [record.position for record in twinlock.store.events(0, 500)]
    assert ids == Counter(stored)
    with twinlock.connect() as connection:  # as after a crash between put and record
        connection.execute("UPDATE log_head SET position = %s", (ends[2],))
        connection.execute("DELETE FROM relay_progress")
    on_kafka.relay()
    until(lambda: relayed(twinlock) >= ends[3])
    ids = Counter(int(json.loads(r.value)["id"]) for r in records(kafka, on_kafka.log.name))
    assert ids == Counter(stored) + Counter(p for p in stored if p > ends[2])


def topic_id(admin: KafkaAdminClient, name: str) -> object:
    (told,) = admin.describe_topics([name])
    return told["topic_id"] if told["error_code"] == 0 else None


def delete_topic(kafka: str, name: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    before = topic_id(admin, name)
    admin.delete_topics([name])
    until(lambda: topic_id(admin, name) != before)
    admin.close()


def test_a_lost_topic_is_filled_again_from_the_store(on_kafka: Running, kafka: str) -> None:
    twinlock = on_kafka.twinlock
    on_kafka.relay()
    on_kafka.project()
    first = a_workspace(twinlock, ["m1", "m2"])
    until(lambda: all_visible(twinlock, first))
    delete_topic(kafka, on_kafka.log.name)
    last = append(twinlock, MemberMFA, "m2", bound())
    until(lambda: all_visible(twinlock, last))
    equal_to_the_store(twinlock, ["m1", "m2"])
    ids = {int(json.loads(r.value)["id"]) for r in records(kafka, on_kafka.log.name)}
    assert ids == {r.position for r in twinlock.store.events(0, 500)}


def test_what_was_put_behind_a_loss_hides_nothing(on_kafka: Running, kafka: str) -> None:
    twinlock, log, envelope = on_kafka.twinlock, on_kafka.log, on_kafka.envelope
    assert isinstance(log, KafkaLog)
    a_workspace(twinlock, ["m1", "m2"])
    put = append(twinlock, MemberMFA, "m2", bound(), *(accepted(n) for n in range(9)))
    on_kafka.relay()
    until(lambda: relayed(twinlock) >= put)
    on_kafka.stop()
    delete_topic(kafka, log.name)
    # As the broker leaves it that lost the tail of a partition, and was given newer records before
    # the relay noticed: these lie where older ones were, and what was between is gone.
    last = append(twinlock, MemberMFA, "m2", accepted(10))
    stored = twinlock.store.events(0, 500)
    with closing(log.writer()) as writer:
        for record in stored[:-1]:
            event = envelope.wrap(stored[-1] if record.stream == "member/m2" else record)
            writer.put([Outgoing(record.stream, serialized(event), headers(event))])
    on_kafka.relay()
    until(lambda: generation(twinlock) == 1)
    on_kafka.project()
    until(lambda: all_visible(twinlock, last))
    equal_to_the_store(twinlock, ["m1", "m2"])
    ids = {int(json.loads(r.value)["id"]) for r in records(kafka, log.name)}
    assert ids == {record.position for record in stored}


def test_a_loss_hides_nothing_after_another_log_was_chosen_for_a_while(
    on_kafka: Running,
) -> None:
    twinlock, log, envelope = on_kafka.twinlock, on_kafka.log, on_kafka.envelope
    assert isinstance(log, KafkaLog)
    a_workspace(twinlock, ["m1", "m2"])
    lost = append(twinlock, MemberMFA, "m2", bound())
    last = append(twinlock, MemberMFA, "m2", accepted(10))
    with closing(log.writer()) as writer:  # as after a loss that the relay has noticed before
        for record in twinlock.store.events(0, 500):
            if record.position != lost:
                event = envelope.wrap(record)
                writer.put([Outgoing(record.stream, serialized(event), headers(event))])
    with twinlock.connect() as connection:
        choose(connection, log.name)
        choose(connection, EMBEDDED)
    on_kafka.relay()
    until(lambda: relayed(twinlock) >= last)
    on_kafka.project()
    until(lambda: all_visible(twinlock, last))
    equal_to_the_store(twinlock, ["m1", "m2"])


def remove_all_records(kafka: str, topic: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    admin.delete_records({TopicPartition(topic, number): -1 for number in range(PARTITIONS)})
    admin.close()


def test_what_retention_removed_is_not_put_again(on_kafka: Running, kafka: str) -> None:
    twinlock, topic = on_kafka.twinlock, on_kafka.log.name
    first = a_workspace(twinlock, ["m1", "m2"])
    on_kafka.relay()
    until(lambda: relayed(twinlock) >= first)
    on_kafka.stop()
    remove_all_records(kafka, topic)
    on_kafka.relay()
    last = append(twinlock, MemberMFA, "m2", bound())
    until(lambda: relayed(twinlock) >= last)
    assert generation(twinlock) == 0
    assert [int(json.loads(r.value)["id"]) for r in records(kafka, topic)] == [last]


def test_what_retention_removed_unread_is_told_and_a_rebuild_brings_it(
    on_kafka: Running, kafka: str
) -> None:
    twinlock, topic = on_kafka.twinlock, on_kafka.log.name
    first = a_workspace(twinlock, ["m1", "m2"])
    on_kafka.relay()
    until(lambda: relayed(twinlock) >= first)
    remove_all_records(kafka, topic)
    with capture_logs() as logs:
        on_kafka.project()
        last = append(twinlock, MemberMFA, "m2", bound())
        missed = {(model.key, partition_of("member/m2", PARTITIONS), 0, 2) for model in MODELS}
        until(lambda: missed == told_as_missed(logs))
    for model in MODELS:
        rebuild(model, twinlock.connect, Live(model.key, topic, partition_of), lambda *_: None)
    until(lambda: all_visible(twinlock, last))
    equal_to_the_store(twinlock, ["m1", "m2"])


def told_as_missed(logs: Sequence[Mapping[str, Any]]) -> set[tuple[Any, ...]]:
    names = ("model", "partition", "offset", "until")
    return {
        tuple(line[name] for name in names)
        for line in logs
        if line["event"] == "projector.records_missed"
    }


# kafka-python leaves sockets open where a broker was away.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_broker_that_was_away_gets_everything(
    on_kafka: Running, kafka_broker: KafkaBroker
) -> None:
    twinlock = on_kafka.twinlock
    on_kafka.relay()
    on_kafka.project()
    until(lambda: all_visible(twinlock, a_workspace(twinlock, ["m1"])))
    kafka_broker.kill()
    for n in range(50):
        append(twinlock, MemberMFA, "m1", accepted(n), minutes=n)
    time.sleep(1)
    kafka_broker.restart()
    head = twinlock.store.head()
    until(lambda: all_visible(twinlock, head))
    equal_to_the_store(twinlock, ["m1"])


def test_a_leader_whose_connection_is_lost_stops_and_another_leads(on_kafka: Running) -> None:
    twinlock = on_kafka.twinlock
    on_kafka.relay()
    on_kafka.relay()
    first = a_workspace(twinlock, ["m1"])
    until(lambda: relayed(twinlock) >= first)
    with twinlock.connect() as connection:
        ended = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)"
            " WHERE locktype = 'advisory' AND granted AND mode = 'ExclusiveLock'"
            " AND pg_locks.database = (SELECT oid FROM pg_database"
            " WHERE datname = current_database())"
        ).fetchall()
    assert ended == [(True,)]
    last = append(twinlock, MemberMFA, "m1", accepted(9))
    until(lambda: relayed(twinlock) >= last)


def test_one_key_keeps_to_one_partition(on_kafka: Running, kafka: str) -> None:
    a_workspace(on_kafka.twinlock, [f"m{n}" for n in range(30)])
    on_kafka.relay()
    until(lambda: relayed(on_kafka.twinlock) >= on_kafka.twinlock.store.head())
    found = records(kafka, on_kafka.log.name)
    assert all(r.partition == partition_of(r.key.decode(), PARTITIONS) for r in found)
    assert len({r.partition for r in found}) > 6
    headers = dict(found[0].headers)
    assert headers["type"].startswith(b"twinlock.")
    assert {"id", "source", "subject", "time", "actorkind", "actorid", "requestid", "mac"} <= set(
        headers
    )


def test_an_absent_broker_is_no_reason_to_fail(embedded: Running) -> None:
    running = embedded
    log = KafkaLog("127.0.0.1:1", "t.none")
    relay = Relay(running.twinlock.store, running.twinlock.connect, log, running.envelope)
    stop = running.start(relay.run)
    time.sleep(1)
    begun = time.monotonic()
    stop.set()
    running.stop()
    assert time.monotonic() - begun < 20  # ten seconds, and as many again for a busy machine
    sweep()
