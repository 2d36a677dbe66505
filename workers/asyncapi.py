"""The AsyncAPI 3 document of what leaves on Kafka, made of the event types."""

from collections.abc import Mapping
from typing import Any

from domain.facts import FACTS
from workers import checkpoints, cloud_events
from workers.cloud_events import BODY_ONLY, PREFIX, UNREADABLE
from workers.member_states import SCHEMA_OF_STATE, SUFFIX
from workers.member_states import TYPE as STATE
from workers.schemas import (
    DATA_OF_UNREADABLE,
    ENVELOPE,
    TEXT,
    UNKNOWN,
    data_schema,
    event_schema,
    topics,
    unreadable_schema,
)

CONTENT_TYPE = "application/cloudevents+json"
DESCRIPTION = (
    "Everything that happens in Twinlock, as CloudEvents 1.0 in structured JSON. Records of one "
    "stream have one key and keep their order; a repeated record has the same id; the id is the "
    "position in the total order. The same events are read over HTTP at /v1/events."
)
STREAM_KEY = {
    "type": "string",
    "description": "The stream: member/M, workspace/W, ticket/T, token/T or audit/A.",
}
MEMBER_KEY = {"type": "string", "description": "member/M"}
CHECKPOINT_KEY = {"type": "string", "description": "The topic's name."}
CHECKPOINT = "checkpoint"
SIGNED_NOTE = {
    "type": "string",
    "description": "A signed note: how many events there are, and the root of their tree.",
}
_HEADERS = {
    "content-type": {"const": cloud_events.CONTENT_TYPE},
    "type": TEXT,
    **{name: each for name, each in ENVELOPE.items() if name not in BODY_ONLY},
}
HEADERS = {
    "type": "object",
    "description": "The event's attributes once more, to filter on without reading the body.",
    "properties": _HEADERS,
    "required": [name for name in _HEADERS if name not in UNKNOWN],
}
HEADERS_OF_STATE = {
    "type": "object",
    "description": "The same where there is no value.",
    "properties": {"type": {"const": STATE}},
    "required": ["type"],
}


def document(topic: str, public_url: str) -> dict[str, Any]:
    """The document of an installation."""
    messages = {
        name: _event_message(name, FACTS[name].__name__, event_schema(name), public_url)
        for name in topics()
    }
    messages[UNREADABLE] = _event_message(UNREADABLE, "Unreadable", unreadable_schema(), public_url)
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Twinlock events", "version": "1", "description": DESCRIPTION},
        "defaultContentType": CONTENT_TYPE,
        "channels": {
            "events": _channel(topic, list(messages), {"cleanup.policy": ["delete"]}),
            "members": _channel(topic + SUFFIX, [STATE], {"cleanup.policy": ["compact"]}),
            "checkpoints": _channel(
                topic + checkpoints.SUFFIX, [CHECKPOINT], {"cleanup.policy": ["delete"]}
            ),
        },
        "operations": {
            "sendEvents": _sends("events", "Every event, kept for ever."),
            "sendMemberStates": _sends(
                "members", "Each member's current state; a record without a value erases it."
            ),
            "sendCheckpoints": _sends("checkpoints", "What the notary signed, in order."),
        },
        "components": {
            "schemas": {"headers": HEADERS},
            "messages": {**messages, STATE: _state_message(), CHECKPOINT: _checkpoint_message()},
        },
    }


def schemas(public_url: str) -> Mapping[str, Mapping[str, Any]]:
    """What `dataschema` leads to: the schema of each type's data, by its name with a version."""
    found: dict[str, Mapping[str, Any]] = {name: data_schema(name) for name in topics()}
    found[UNREADABLE] = DATA_OF_UNREADABLE
    found[STATE.removeprefix(PREFIX)] = SCHEMA_OF_STATE
    return {name: _identified(name, public_url, schema) for name, schema in found.items()}


def _identified(name: str, public_url: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"$schema": schema["$schema"], "$id": f"{public_url}/v1/schemas/{name}", **schema}


def _channel(address: str, messages: list[str], configuration: dict[str, Any]) -> dict[str, Any]:
    kafka = {"topic": address, "topicConfiguration": configuration, "bindingVersion": "0.5.0"}
    return {
        "address": address,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {"kafka": kafka},
    }


def _sends(channel: str, summary: str) -> dict[str, Any]:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
    }


def _event_message(
    name: str, title: str, schema: Mapping[str, Any], public_url: str
) -> dict[str, Any]:
    message = _message(PREFIX + name, title, schema, CONTENT_TYPE, STREAM_KEY)
    return message | {
        "headers": {"$ref": "#/components/schemas/headers"},
        "externalDocs": {"url": f"{public_url}/v1/schemas/{name}"},
    }


def _state_message() -> dict[str, Any]:
    message = _message(STATE, "MemberState", SCHEMA_OF_STATE, "application/json", MEMBER_KEY)
    return message | {"headers": HEADERS_OF_STATE}


def _checkpoint_message() -> dict[str, Any]:
    name = PREFIX + CHECKPOINT
    return _message(name, "Checkpoint", SIGNED_NOTE, "text/plain", CHECKPOINT_KEY)


def _message(
    name: str, title: str, schema: Mapping[str, Any], media_type: str, key: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "name": name,
        "title": title,
        "summary": schema["description"],
        "contentType": media_type,
        "payload": {word: value for word, value in schema.items() if word != "$schema"},
        "bindings": {"kafka": {"key": key, "bindingVersion": "0.5.0"}},
    }
