"""Readers that join while the topic is being made get their partitions, each of them."""

import random
import threading
import time
from contextlib import closing
from threading import Event

import pytest

from tests.flow.conftest import sweep
from twinlock.adapters.kafka import PARTITIONS, KafkaLog
from workers.loops import keep_going
from workers.ports import LogUnavailable

pytestmark = [pytest.mark.live, pytest.mark.kafka]
READERS = 4


def begin(partitions: frozenset[int]) -> dict[int, int]:
    """Where a reader begins that has read nothing."""
    return dict.fromkeys(partitions, 0)


def test_nobody_joins_without_a_topic(kafka: str, topic: str) -> None:
    with (
        closing(KafkaLog(kafka, topic).reader("g", begin)) as reader,
        pytest.raises(LogUnavailable, match="not there yet"),
    ):
        reader.poll(0.5)
    sweep()


@pytest.mark.parametrize("attempt", range(4))
def test_all_who_join_meanwhile_get_partitions(kafka: str, topic: str, attempt: int) -> None:
    log, stop, owned = KafkaLog(kafka, topic), Event(), dict.fromkeys(range(READERS), 0)

    def read(number: int) -> None:
        with closing(log.reader(f"g{number}", begin)) as reader:
            while not stop.is_set():
                reader.poll(0.2)
                owned[number] = len(reader.assigned())

    threads = [
        threading.Thread(target=keep_going, args=(f"r{n}", lambda n=n: read(n), stop))
        for n in range(READERS)
    ]
    for thread in threads:
        thread.start()
    time.sleep(random.random())
    log.writer().close()
    deadline = time.monotonic() + 30
    while set(owned.values()) != {PARTITIONS} and time.monotonic() < deadline:
        time.sleep(0.1)
    stop.set()
    for thread in threads:
        thread.join()
    sweep()
    assert set(owned.values()) == {PARTITIONS}
