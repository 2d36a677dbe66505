"""The AsyncAPI document holds to the official schema, and published shapes stay as they are."""

import json
from dataclasses import make_dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import TypeAdapter

from domain.facts import FACTS
from workers.asyncapi import document, schemas
from workers.cloud_events import UNREADABLE, Envelope, headers
from workers.member_states import SCHEMA_OF_STATE
from workers.ports import StoredRecord
from workers.schemas import data_schema, event_schema, topics, unreadable_schema

HERE = Path(__file__).parent
OFFICIAL = json.loads((HERE / "asyncapi" / "3.0.0.json").read_text())


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    return document("twinlock.events", "https://mfa.example")


def test_the_document_holds_to_the_official_schema(told: dict[str, Any]) -> None:
    jsonschema.Draft7Validator(OFFICIAL).validate(told)


def test_the_official_schema_would_say_what_is_wrong(told: dict[str, Any]) -> None:
    wrong = {**told, "operations": {"x": {"action": "shout", "channel": {"$ref": "#/channels/x"}}}}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(OFFICIAL).validate(wrong)


def test_every_type_is_a_message_of_the_events(told: dict[str, Any]) -> None:
    assert sorted(told["channels"]["events"]["messages"]) == sorted([*topics(), UNREADABLE])
    messages = told["components"]["messages"]
    for channel in told["channels"].values():
        for reference in channel["messages"].values():
            assert reference["$ref"].rpartition("/")[2] in messages


def test_the_headers_of_records_are_told(told: dict[str, Any]) -> None:
    headers_of = told["components"]["schemas"]["headers"]
    state = {
        "time": "2026-05-01T09:00:00Z",
        "actor": {"kind": "host", "id": "h1"},
        "request_id": "r",
        "workspace_id": "w",
        "subject": "member/m1",
        "data": {},
    }
    for stored in (json.dumps(state).encode(), b"x"):
        record = StoredRecord(7, "member/m1", 1, "mfa.registered.v1", stored)
        carried = headers(Envelope("https://mfa.example", b"k" * 32).wrap(record))
        jsonschema.validate(carried, headers_of)
        assert set(headers_of["required"]) <= set(carried) <= set(headers_of["properties"])
    assert len(headers_of["properties"]) == 11


def test_each_topic_is_a_channel_and_its_messages_tell_their_headers(told: dict[str, Any]) -> None:
    topics_ = [
        channel["address"].removeprefix("twinlock.") for channel in told["channels"].values()
    ]
    assert topics_ == ["events", "events.members", "events.checkpoints"]
    messages = told["components"]["messages"]
    assert [name for name, each in messages.items() if "headers" not in each] == ["checkpoint"]


def test_every_reference_leads_somewhere(told: dict[str, Any]) -> None:
    for operation in told["operations"].values():
        assert operation["channel"]["$ref"].rpartition("/")[2] in told["channels"]


def test_every_schema_is_one(told: dict[str, Any]) -> None:
    for name, schema in schemas("https://mfa.example").items():
        jsonschema.Draft202012Validator.check_schema(dict(schema))
        assert schema["$id"] == f"https://mfa.example/v1/schemas/{name}"


def unworded(schema: Any) -> Any:
    """A schema without its sentences: words may get better, shapes may not change."""
    if isinstance(schema, dict):
        kept = {k: v for k, v in schema.items() if k != "description" or isinstance(v, dict)}
        return {name: unworded(each) for name, each in kept.items()}
    return schema


def test_the_envelope_stays_as_it_was_published() -> None:
    published = json.loads((HERE / "envelope.json").read_text())
    schema = event_schema("mfa.registered.v1")
    assert unworded(schema) == unworded(published)


def test_a_members_state_stays_as_it_was_published() -> None:
    published = json.loads((HERE / "member_state.v1.json").read_text())
    assert unworded(dict(SCHEMA_OF_STATE)) == unworded(published)


def test_what_stands_for_an_unreadable_event_stays_as_it_was_published() -> None:
    published = json.loads((HERE / "unreadable.json").read_text())
    assert unworded(unreadable_schema()) == unworded(published)


@pytest.mark.parametrize(
    "fields",
    [
        [("binding_id", str), ("step", int), ("workspace_id", str | None)],
        [
            ("binding_id", str),
            ("step", str),
            ("workspace_id", str | None),
            ("login_id", str | None),
        ],
        [("binding_id", str), ("step", int), ("workspace_id", str), ("login_id", str | None)],
        [
            ("binding_id", str),
            ("step", int),
            ("workspace_id", str | None),
            ("login_id", str | None),
            ("more", str),
        ],
    ],
    ids=["a field less", "another kind", "no longer null", "a field more"],
)
def test_a_changed_shape_would_be_noticed(
    monkeypatch: pytest.MonkeyPatch, fields: list[tuple[str, Any]]
) -> None:
    published = json.loads((HERE / "schemas" / "mfa.bound.v1.json").read_text())
    changed: Any = make_dataclass("MFABound", fields, kw_only=True)
    changed.wire_name, changed.schema_version, changed.topic = "x", 1, lambda: "changed.v1"
    monkeypatch.setitem(FACTS, "changed.v1", changed)
    monkeypatch.setattr("workers.schemas.shape", lambda topic: TypeAdapter(FACTS[topic]))
    made = {**data_schema("changed.v1"), "title": "mfa.bound.v1"}
    assert unworded(made) != unworded(published)
