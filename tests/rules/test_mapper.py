"""Events are written as JSON and read back the same, whatever is in them; nothing else is read."""

import json
from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from eventsourcing.persistence import MapperDeserialisationError
from hypothesis import given
from hypothesis import strategies as st

from domain import api_token, audit_export, member_facts, unbind_ticket, workspace
from domain.facts import FACTS, Actor, Event, Fact
from domain.times import rfc3339
from twinlock.adapters.mapper import MICROSECONDS, FactMapper, decode, encode, subject_of

# Their facts are registered.
assert all((api_token, audit_export, member_facts, unbind_ticket, workspace))

GOLDEN = Path(__file__).parents[1] / "contracts" / "golden"
AT = datetime(2026, 5, 4, 12, 0, 0, 123456, tzinfo=UTC)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
TIMES = st.datetimes(timezones=st.just(UTC))
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    int: st.integers(-(2**63), 2**63),
    int | None: st.none() | st.integers(-(2**63), 2**63),
    bool: st.booleans(),
    datetime: TIMES,
    str | None: st.none() | TEXT,
    datetime | None: st.none() | TIMES,
    tuple[str, ...]: st.lists(TEXT).map(tuple),
}


def facts() -> st.SearchStrategy[Fact]:
    return st.one_of(
        [
            st.builds(kind, **{name: VALUES[hint] for name, hint in hints(kind).items()})
            for kind in FACTS.values()
        ]
    )


def hints(kind: Any) -> dict[str, Any]:
    known = get_type_hints(kind)
    return {field.name: known[field.name] for field in fields(kind)}


EVENTS = st.builds(
    Event,
    stream=TEXT,
    version=st.integers(1, 2**40),
    fact=facts(),
    at=TIMES,
    actor=st.builds(Actor, kind=TEXT, id=st.none() | TEXT),
    request_id=TEXT,
    workspace_id=st.none() | TEXT,
)


@given(EVENTS)
def test_every_event_is_read_back_as_it_was_written(event: Event) -> None:
    mapper = FactMapper(None)  # type: ignore[arg-type]  # it needs no transcoder
    stored = mapper.to_stored_event(event)
    assert stored.topic == event.fact.topic()
    assert mapper.to_domain_event(stored) == event


@given(EVENTS)
def test_what_is_written_is_compact_and_in_order(event: Event) -> None:
    envelope = json.loads(encode(event))
    assert list(envelope) == ["time", "actor", "request_id", "workspace_id", "subject", "data"]
    assert list(envelope["data"]) == list(hints(type(event.fact)))


def test_times_are_rfc_3339_in_utc() -> None:
    east = AT.astimezone(timezone(timedelta(hours=8)))
    assert rfc3339(east, MICROSECONDS) == "2026-05-04T12:00:00.123456Z"


def test_a_membership_is_about_its_workspace() -> None:
    fact = member_facts.MemberAdded(workspace_id="acme", member_id="m1", role="owner")
    event = Event(
        stream="member/m1", version=1, fact=fact, at=AT, actor=Actor("host"), request_id="r"
    )
    assert subject_of(event) == "workspace/acme"


REGISTERED: dict[str, Any] = {
    "time": rfc3339(AT, MICROSECONDS),
    "actor": {"kind": "host", "id": None},
    "request_id": "r1",
    "workspace_id": None,
    "subject": "member/m1",
    "data": {},
}
SENT = {"challenge_id": "c", "purpose": "bind", "expires_at": rfc3339(AT, MICROSECONDS)}
WITHOUT_DATA = {name: value for name, value in REGISTERED.items() if name != "data"}


@pytest.mark.parametrize(
    ("topic", "state"),
    [
        ("mfa.unheard_of.v1", REGISTERED),
        ("mfa.registered.v2", REGISTERED),
        ("mfa.registered.v1", {**REGISTERED, "more": 1}),
        ("mfa.registered.v1", {**REGISTERED, "data": {"more": 1}}),
        ("mfa.registered.v1", WITHOUT_DATA),
        ("mfa.registered.v1", {**REGISTERED, "time": "2026-05-04T12:00:00"}),
        ("mfa.registered.v1", {**REGISTERED, "actor": {"kind": "host"}}),
        ("mfa.registered.v1", {**REGISTERED, "actor": {"kind": "host", "id": 1, "x": 2}}),
        ("mfa.email_code_sent.v1", REGISTERED),
        ("mfa.email_code_sent.v1", {**REGISTERED, "data": {**SENT, "purpose": 1}}),
        ("mfa.email_code_sent.v1", {**REGISTERED, "data": {**SENT, "expires_at": "soon"}}),
        ("mfa.email_code_sent.v1", {**REGISTERED, "data": {**SENT, "challenge_id": None}}),
        ("mfa.registered.v1", []),
        ("mfa.registered.v1", None),
    ],
)
def test_anything_else_is_not_read(topic: str, state: Any) -> None:
    with pytest.raises(MapperDeserialisationError):
        decode("member/m1", 1, topic, json.dumps(state).encode())


@pytest.mark.parametrize("state", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_not_read(state: bytes) -> None:
    with pytest.raises(MapperDeserialisationError):
        decode("member/m1", 1, "mfa.registered.v1", state)


def test_every_topic_has_a_golden_file() -> None:
    assert FACTS.keys() <= {file.stem for file in GOLDEN.glob("*.json")}


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("*.json")), ids=lambda file: file.stem)
def test_a_golden_file_is_read_for_ever(file: Path) -> None:
    golden = json.loads(file.read_text())
    state = _compact(golden)
    event = decode(golden["subject"], 7, file.stem, state)
    if event.fact.topic() == file.stem:
        assert encode(event) == state


def _compact(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
