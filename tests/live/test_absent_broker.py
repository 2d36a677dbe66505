"""A broker that is away for long costs the workers nothing that they would run out of."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from kafka.errors import KafkaError

from tests.flow.conftest import sweep
from twinlock.adapters.kafka import KafkaLog, KafkaWriter
from workers.ports import LogUnavailable

pytestmark = pytest.mark.live
AWAY = KafkaLog("127.0.0.1:1", "t.none", security={"bootstrap_timeout_ms": 300})


def held() -> tuple[set[threading.Thread], int]:
    """The client's threads, and how many files are open."""
    sweep()
    threads = {each for each in threading.enumerate() if each.name.startswith("kafka-")}
    return threads, len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize(
    "attempt",
    [
        AWAY.topics,
        AWAY.writer,
        lambda: AWAY.reader("group", lambda _: {}),
        lambda: KafkaWriter(AWAY),
    ],
    ids=["topics", "writer", "reader", "producer"],
)
def test_a_failed_attempt_leaves_neither_threads_nor_sockets(
    attempt: Callable[[], object],
) -> None:
    threads, files = held()
    for _ in range(3):
        with pytest.raises((LogUnavailable, KafkaError)):
            attempt()
    after, open_files = held()
    assert after <= threads
    assert open_files <= files
