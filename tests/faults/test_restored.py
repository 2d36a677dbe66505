"""A store that was restored from a backup never gives away a position that the topic has told."""

import threading
import time

import pytest

from domain.member_mfa import MemberMFA
from tests.flow.conftest import Running, envelope, on_kafka
from tests.flow.histories import a_workspace, accepted, append, bound, joined
from tests.flow.topics import consume, first_of_each
from tests.support.built import twinlock
from twinlock.composition import Twinlock
from twinlock.dev.kafka import KafkaBroker
from workers.relay import Relay, TopicAhead

__all__ = ["envelope", "on_kafka", "twinlock"]
pytestmark = [pytest.mark.live, pytest.mark.kafka]


def relayed(built: Twinlock) -> int:
    with built.connect() as connection:
        row = connection.execute("SELECT position FROM log_head").fetchone()
        return int(row[0]) if row else 0


def wait_until_relayed(built: Twinlock) -> None:
    deadline = time.monotonic() + 30
    while relayed(built) < built.store.head():
        assert time.monotonic() < deadline, "the relay has come to a halt"
        time.sleep(0.05)


def restored_to(built: Twinlock, position: int) -> None:
    """What restoring a backup of that moment leaves behind, in so far as a relay can see it."""
    with built.connect() as connection, connection.transaction():
        connection.execute("DELETE FROM stored_events WHERE notification_id > %s", (position,))
        connection.execute("SELECT setval('stored_events_notification_id_seq', %s)", (position,))
        connection.execute("UPDATE log_head SET position = %s", (position,))
        connection.execute("DELETE FROM relay_progress")


@pytest.fixture
def lost(on_kafka: Running) -> int:
    """A restored store; answers the last position that its topic has told."""
    built = on_kafka.twinlock
    kept = a_workspace(built, ["ann"])
    on_kafka.relay()
    last = append(built, MemberMFA, "bob", *joined("bob"), bound("b2"))
    wait_until_relayed(built)
    on_kafka.stop()
    restored_to(built, kept)
    return last


def test_new_positions_lie_beyond_the_topics_last(
    on_kafka: Running, lost: int, kafka_broker: KafkaBroker
) -> None:
    built = on_kafka.twinlock
    on_kafka.relay()
    time.sleep(2)
    wait_until_relayed(built)
    fresh = append(built, MemberMFA, "eve", *joined("eve"))
    assert fresh > lost
    wait_until_relayed(built)
    on_kafka.stop()
    append(built, MemberMFA, "joe", *joined("joe"))
    on_kafka.relay()
    wait_until_relayed(built)
    on_kafka.stop()
    told = first_of_each(consume(kafka_broker.bootstrap, on_kafka.log.name))
    assert told.keys() >= {each.position for each in built.store.events(0, 500)}


@pytest.mark.parametrize("codes", [0, 20], ids=["behind", "beyond"])
def test_a_store_that_went_on_by_itself_is_not_mixed_with_the_topic(
    on_kafka: Running, lost: int, codes: int
) -> None:
    built = on_kafka.twinlock
    facts = (*joined("eve"), *(accepted(step) for step in range(codes)))
    assert (append(built, MemberMFA, "eve", *facts, minutes=60) > lost) == (codes > 0)
    relay = Relay(built.store, built.connect, on_kafka.log, on_kafka.envelope)  # type: ignore[arg-type]
    stop = threading.Event()
    late = threading.Timer(20, stop.set)
    late.start()
    with pytest.raises(TopicAhead):
        relay.session(stop)
    late.cancel()
