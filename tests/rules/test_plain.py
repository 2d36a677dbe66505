"""The short way to read an event answers what the long way answers, or leaves it to that."""

import json
from typing import Any

import pytest
from eventsourcing.persistence import MapperDeserialisationError
from hypothesis import given
from hypothesis import strategies as st

from domain import plain
from domain.facts import FACTS, Event
from projections.journal import entry
from tests.rules.test_mapper import EVENTS, GOLDEN, REGISTERED, SENT
from twinlock.adapters import mapper
from twinlock.adapters.mapper import encode

SENT_TOPIC = "mfa.email_code_sent.v1"
GIVEN: dict[str, Any] = {**REGISTERED, "data": SENT}
TEXT = json.dumps(GIVEN, separators=(",", ":")).encode()
SWAPS = [
    (b'"r1"', b'"x","request_id":"r1"'),
    (b'"r1"', b'1,"request_id":"r1"'),
    (b'"r1"', b'"r1","request_id":1'),
    (b'"r1"', b'"\\ud800"'),
    (b'"r1"', b'"\\ud83d\\ude00"'),
    (b'"r1"', b'"\xed\xa0\x80"'),
    (b'"r1"', b'"\xff"'),
    (b'"r1"', b'"\x01"'),
    (b'"r1"', b'"\\u0000"'),
    (b'"r1"', b"NaN"),
    (b'"r1"', b"1e999"),
    (b'"r1"', b"true"),
    (b'"r1"', b"null"),
    (b'"host"', b"null"),
    (b'"host"', b'"host","more":1'),
    (b'"host"', b'"host","kind":"member"'),
    (b"null}", b"7}"),
    (b'"bind"', b"null"),
    (b'"bind"', b'"bind","more":1'),
    (b'"bind"', b'"bind","more":' + b"[" * 300 + b"]" * 300),
    (b"123456Z", b"123456+00:00"),
    (b"123456Z", b"123456+08:00"),
    (b"123456Z", b"123456"),
    (b"2026-05-04T12", b"2026-05-04 12"),
    (b'"2026-05-04T12:00:00.123456Z"', b"1777896000"),
    (b'"2026-05-04T12:00:00.123456Z"', b'"1777896000"'),
    (b'{"time"', b'\xef\xbb\xbf{"time"'),
    (b'{"time"', b'\x0c{"time"'),
    (b'{"time"', b' {"more":1,"time"'),
    (b"}}", b"},}"),
    (b"}}", b"}} "),
    (b"}}", b"}}}"),
]


def long_way(topic: str, state: bytes) -> Event | None:
    try:
        return mapper._decode("member/m1", 1, topic, state)
    except MapperDeserialisationError:
        return None


@given(EVENTS)
def test_what_this_release_writes_is_read_the_short_way(event: Event) -> None:
    topic, state = event.fact.topic(), encode(event)
    assert plain.read(event.stream, event.version, topic, state) == event


@pytest.mark.parametrize("topic", sorted(FACTS))
def test_every_fact_is_read_the_short_way(topic: str) -> None:
    golden = (GOLDEN / f"{topic}.json").read_bytes()
    found = plain.read("member/m1", 1, topic, golden)
    assert found is not None
    assert found == long_way(topic, golden)


@pytest.mark.parametrize(("old", "new"), SWAPS)
@pytest.mark.parametrize("count", [1, 2])
def test_both_ways_answer_the_same(old: bytes, new: bytes, count: int) -> None:
    state = TEXT.replace(old, new, count)
    assert state != TEXT
    found = plain.read("member/m1", 1, SENT_TOPIC, state)
    assert found in (None, long_way(SENT_TOPIC, state))
    assert found is None or found == _as_read_models_do(state)


@given(st.data())
def test_whatever_is_done_to_the_bytes_both_ways_answer_the_same(data: st.DataObject) -> None:
    event = data.draw(EVENTS)
    topic, state = event.fact.topic(), bytearray(encode(event))
    for _ in range(data.draw(st.integers(1, 3))):
        begin = data.draw(st.integers(0, len(state) - 1))
        state[begin : begin + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    found = plain.read("member/m1", 1, topic, bytes(state))
    assert found in (None, long_way(topic, bytes(state)))


@pytest.mark.parametrize("topic", ["mfa.unheard_of.v1", "mfa.registered.v2", "mfa.bound.v1"])
def test_what_it_does_not_know_it_leaves_alone(topic: str) -> None:
    assert plain.read("member/m1", 1, topic, TEXT) is None


def _as_read_models_do(state: bytes) -> Event:
    told = json.loads(state)
    return entry(position=1, stream="member/m1", version=1, topic=SENT_TOPIC, state=told).event
