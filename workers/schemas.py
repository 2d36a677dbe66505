"""JSON Schemas of the events that leave: of each fact's data, and of the whole envelope."""

from typing import Any

from domain.facts import FACTS, Fact
from projections.journal import shape
from workers.cloud_events import PREFIX, UNREADABLE

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TEXT = {"type": "string", "minLength": 1}
ENVELOPE: dict[str, Any] = {
    "specversion": {"const": "1.0"},
    "id": {"type": "string", "pattern": "^[1-9][0-9]*$", "description": "The position."},
    "source": {"type": "string", "format": "uri"},
    "subject": {"type": "string", "pattern": "^(workspace|member|ticket|token|audit)/.+$"},
    "time": {"type": "string", "format": "date-time"},
    "datacontenttype": {"const": "application/json"},
    "dataschema": {"type": "string", "format": "uri"},
    "actorkind": {
        "enum": ["host", "member", "support", "auditor", "system", "operator", "anonymous"]
    },
    "actorid": TEXT,
    "requestid": TEXT,
    "workspaceid": TEXT,
    "mac": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
}
OPTIONAL = ("actorid", "workspaceid")
DATA_OF_UNREADABLE: dict[str, Any] = {
    "$schema": DIALECT,
    "title": UNREADABLE,
    "description": "Here lies an event that cannot be read; `type` is what it was stored as.",
    "type": "object",
    "properties": {"type": {"type": "string"}},
    "required": ["type"],
    "additionalProperties": False,
}
UNKNOWN = ("time", "actorkind", "actorid", "requestid", "workspaceid")
"""What nobody can say of an unreadable event."""


def topics() -> list[str]:
    """Every wire name with its version that events may have now."""
    return sorted(FACTS)


def data_schema(topic: str) -> dict[str, Any]:
    """The schema of a fact's data; raises KeyError for an unknown topic."""
    fact = FACTS[topic]
    made = shape(topic).json_schema(mode="serialization")
    properties = {name: _untitled(each) for name, each in made.get("properties", {}).items()}
    return {
        "$schema": DIALECT,
        "title": topic,
        "description": _sentence(fact),
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def event_schema(topic: str) -> dict[str, Any]:
    """The schema of a whole CloudEvent of this type."""
    return _event_schema(topic, ENVELOPE, data_schema(topic))


def unreadable_schema() -> dict[str, Any]:
    """The schema of what stands in the place of an unreadable event: less is known of it."""
    known = {name: each for name, each in ENVELOPE.items() if name not in UNKNOWN}
    return _event_schema(UNREADABLE, {**known, "subject": TEXT}, DATA_OF_UNREADABLE)


def _event_schema(topic: str, envelope: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    data = {k: v for k, v in told.items() if k != "$schema"}
    fields = {**envelope, "type": {"const": PREFIX + topic}, "data": data}
    return {
        "$schema": DIALECT,
        "title": PREFIX + topic,
        "description": data["description"],
        "type": "object",
        "properties": fields,
        "required": [name for name in fields if name not in OPTIONAL],
        "additionalProperties": False,
    }


def _untitled(schema: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name != "title"}


def _sentence(fact: type[Fact]) -> str:
    return " ".join((fact.__doc__ or "").split())
