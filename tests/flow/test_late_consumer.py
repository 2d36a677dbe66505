"""Who starts late and catches up over HTTP holds what one has that followed from the start."""

import json
import threading
import time
from typing import Any

import pytest
from flask.testing import FlaskClient
from kafka import KafkaConsumer

from api.app import create_app
from commands.create_token import CreateToken
from commands.dispatch import run
from domain.member_mfa import MemberMFA
from tests.flow.conftest import Running
from tests.flow.histories import a_workspace, accepted, append, bound, joined
from twinlock.adapters.kafka import KafkaLog
from twinlock.backend import backend
from twinlock.composition import Twinlock
from twinlock.running import OPERATOR

pytestmark = [pytest.mark.live, pytest.mark.kafka]


def canonical(event: Any) -> bytes:
    """An event's bytes, however its fields are ordered and spaced."""
    return json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


class Consumer:
    """Holds every event by its id, and drops repeats; it knows the public contract alone."""

    def __init__(self, topic: KafkaLog, *, late: bool) -> None:
        self.held: dict[int, bytes] = {}
        self._consumer = KafkaConsumer(
            bootstrap_servers=topic.bootstrap,
            auto_offset_reset="latest" if late else "earliest",
            group_id=None,
        )
        self._consumer.subscribe([topic.topic])
        while not self._consumer.assignment():
            self._consumer.poll(timeout_ms=100)
        for place in self._consumer.assignment():
            self._consumer.position(place)

    def keep(self, event: Any) -> None:
        self.held.setdefault(int(event["id"]), canonical(event))

    def catch_up(self, client: FlaskClient, token: str) -> None:
        """Read pages until there is nothing more."""
        after, headers = 0, {"Authorization": f"Bearer {token}"}
        while True:
            answer = client.get(f"/v1/events?after={after}&limit=7", headers=headers)
            page = answer.get_json()
            if not page["events"]:
                return
            for event in page["events"]:
                self.keep(event)
            after = page["next_after"]

    def follow(self, until: int) -> None:
        """Read the log until a position has come."""
        deadline = time.monotonic() + 60
        while until not in self.held:
            assert time.monotonic() < deadline, "it never came"
            for records in self._consumer.poll(timeout_ms=200).values():
                for record in records:
                    self.keep(json.loads(record.value))

    def close(self) -> None:
        self._consumer.close()


def append_some(twinlock: Twinlock, prefix: str, count: int) -> int:
    position = 0
    for number in range(count):
        member = f"{prefix}{number}"
        facts = (*joined(member), bound(), accepted(number + 2))
        position = append(twinlock, MemberMFA, member, *facts, minutes=number)
    return position


def test_a_late_consumer_holds_the_same_bytes(on_kafka: Running) -> None:
    twinlock = on_kafka.twinlock
    assert isinstance(on_kafka.log, KafkaLog)
    on_kafka.log.writer().close()
    early = Consumer(on_kafka.log, late=False)
    on_kafka.relay()
    a_workspace(twinlock, ["m1", "m2"])
    early.follow(append_some(twinlock, "early", 20))

    context = twinlock.context(OPERATOR, "r")
    token = run(CreateToken(role="analyst", name="late"), context, twinlock.desk).token
    client = create_app(backend(twinlock)).test_client()
    late = Consumer(on_kafka.log, late=True)
    writing = threading.Thread(target=append_some, args=(twinlock, "meanwhile", 20))
    writing.start()
    late.catch_up(client, token)
    writing.join()
    last = append_some(twinlock, "then", 10)
    for consumer in (early, late):
        consumer.follow(last)
        # The last one came; others of other partitions may still be on their way.
        for position in range(1, last + 1):
            consumer.follow(position)
        consumer.close()
    assert late.held == early.held
    assert sorted(late.held) == list(range(1, last + 1))
