"""Faults on the way to the log: relays killed, stopped and deposed; brokers away or forgetful."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import psycopg
from kafka import KafkaAdminClient

from tests.faults.database_faults import answered_after
from tests.faults.ground import LATE, Ground, descendants, patient
from tests.faults.load import under
from tests.faults.scenarios import Seen, Size, hold, scenario

LEADER = """
SELECT pid, client_port FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND pg_locks.database = (
    SELECT oid FROM pg_database WHERE datname = current_database())
AND classid::bigint << 32 | objid::bigint = hashtextextended('twinlock relay ' || %s, 0)
"""
"""The session that holds the lock of the relay of a topic, and of nothing else that leads."""


def relayed(ground: Ground) -> int:
    """The position up to which the relay has put everything."""
    with patient(ground.twinlock) as connection:
        row = connection.execute("SELECT position FROM log_head").fetchone()
    return int(row[0]) if row else 0


def drained(ground: Ground) -> float:
    """How long until the relay has put all that is stored now."""
    begun, head = time.monotonic(), ground.twinlock.store.head()
    while relayed(ground) < head:
        hold(time.monotonic() - begun < LATE, "the relay has come to a halt")
        time.sleep(0.05)
    return time.monotonic() - begun


def depose(ground: Ground) -> int:
    """End the database session of the relay that leads; how many there were: one, or none yet."""
    with psycopg.connect(ground.postgres.uri, autocommit=True) as admin:
        leading = admin.execute(LEADER, (ground.topic,)).fetchall()
        for pid, _ in leading:
            admin.execute("SELECT pg_terminate_backend(%s)", (pid,))
    return len(leading)


def killed(ground: Ground, place: str, count: int, chance: float = 0.3) -> Seen:
    """Let the relay die at a place, under load."""
    with under(ground.load) as load:
        injected = ground.fail_until(place, chance, count, seconds=15 + count * 2)
        back = drained(ground)
    hold(not load.failures, f"{load.failures[:3]}")
    return Seen(injected, back)


@scenario("F9", "relay killed before it sends")
def before_send(ground: Ground, size: Size) -> Seen:
    return killed(ground, "before-put", size.of(12))


@scenario("F9", "relay killed while it sends")
def while_sending(ground: Ground, size: Size) -> Seen:
    return killed(ground, "during-put", size.of(12))


@scenario("F9", "relay killed after it sent, before it marked")
def before_mark(ground: Ground, size: Size) -> Seen:
    return killed(ground, "before-mark", size.of(12))


@scenario("F10", "two relays, and the leader frozen, deposed and thawed")
def two_relays(ground: Ground, size: Size) -> Seen:
    worst, count = 0.0, size.of(3)
    ground.work("relay-2", "relay")
    time.sleep(2)
    with under(ground.load) as load:
        for _ in range(count):
            frozen = freeze_leader(ground)
            time.sleep(1)
            hold(depose(ground) == 1, "no relay leads, or two")
            worst = max(worst, drained(ground))
            thaw(frozen)
            time.sleep(1)
    hold(not load.failures, f"{load.failures[:3]}")
    ground.kill("relay-2")
    drained(ground)
    return Seen(count, worst)


def freeze_leader(ground: Ground) -> list[int]:
    """Stop the relay that leads: the one whose socket the lock's session is on."""
    with psycopg.connect(ground.postgres.uri, autocommit=True) as admin:
        wanted = {port for _, port in admin.execute(LEADER, (ground.topic,))}
    for name in ("relay", "relay-2"):
        pids = descendants(ground.here.processes[name].pid)
        if any(wanted & ports_of(pid) for pid in pids):
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            return pids
    hold(False, "no relay leads")
    return []


def thaw(pids: list[int]) -> None:
    """Let them go on."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def ports_of(pid: int) -> set[int]:
    """The local TCP ports of a process's sockets."""
    sockets = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            target = str(link.readlink())
            if target.startswith("socket:["):
                sockets.add(target[8:-1])
    lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    fields = [line.split() for line in lines]
    return {int(each[1].rpartition(":")[2], 16) for each in fields if each[9] in sockets}


@scenario("F11", "the relay's lock lost unseen")
def lock_lost(ground: Ground, size: Size) -> Seen:
    count, worst = 0, 0.0
    with under(ground.load) as load:
        for _ in range(size.of(10)):
            count += depose(ground)
            time.sleep(0.3)
            worst = max(worst, drained(ground))
    hold(not load.failures, f"{load.failures[:3]}")
    return Seen(count, worst)


@scenario("F12", "the broker stopped under load")
def broker_stopped(ground: Ground, size: Size) -> Seen:
    assert ground.broker is not None
    ground.journal.begin()
    with under(ground.load) as load:
        time.sleep(1)
        ground.broker.stop()
        time.sleep(size.seconds * 2)
        refused = sum(n for status, n in ground.journal.statuses.items() if not 0 < status < 500)
        served = len(ground.journal.good)
        ground.broker.restart()
        back = drained(ground)
    hold(not load.failures, f"{load.failures[:3]}")
    hold(not refused, f"{refused} commands failed without the broker")
    return Seen(1, back, f"{size.seconds * 2:.0f} s; {served} answers, none failed")


@scenario("F12", "the broker killed under load")
def broker_killed(ground: Ground, size: Size) -> Seen:
    assert ground.broker is not None
    worst, count = 0.0, size.of(3)
    with under(ground.load) as load:
        for _ in range(count):
            time.sleep(1)
            ground.broker.kill()
            ground.broker.restart()
            worst = max(worst, drained(ground))
    hold(not load.failures, f"{load.failures[:3]}")
    return Seen(count, worst)


@scenario("F13", "the broker has lost the tail of its partitions")
def tail_lost(ground: Ground, size: Size) -> Seen:
    """Again and again: in some, the relay puts newer records behind the loss before it notices."""
    assert ground.broker is not None
    cut, worst = 0, 0.0
    for number in range(size.of(6)):
        with under(ground.load) as load:
            time.sleep(2)
            ground.broker.kill()
            cut += cut_tails(ground, keep=(0.5, 0.97)[number % 2])
            ground.broker.restart()
            time.sleep(1)
        worst = max(worst, drained(ground))
        hold(not load.failures, f"{load.failures[:3]}")
    return Seen(cut, worst, "half of each partition, or the last of it")


def cut_tails(ground: Ground, keep: float) -> int:
    """Shorten the newest segment of each partition of our topics; how many there were."""
    assert ground.broker is not None
    cut = 0
    for segment in (ground.broker.folder / "data").glob(f"{ground.topic}[-.]*/*.log"):
        size = segment.stat().st_size
        if size > 0:
            with segment.open("r+b") as file:
                file.truncate(int(size * keep))
            cut += 1
    return cut


def delete_topic(ground: Ground, topic: str) -> None:
    """Delete a topic, as an operator might."""
    admin = KafkaAdminClient(bootstrap_servers=ground.twinlock.settings.kafka)
    admin.delete_topics([topic])
    admin.close()


@scenario("F14", "the topic deleted")
def topic_deleted(ground: Ground, size: Size) -> Seen:
    with under(ground.load) as load:
        delete_topic(ground, ground.topic)
        begun = time.monotonic()
        answered_after(ground, begun)
        time.sleep(3)
        drained(ground)
        back = time.monotonic() - begun
    hold(not load.failures, f"{load.failures[:3]}")
    return Seen(1, back, "the whole history put again")
