"""JSON Schemas of the events that leave: of each fact's data, and of the whole envelope."""

from typing import Any

from domain.facts import FACTS, Fact
from projections.journal import shape
from workers.cloud_events import PREFIX

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


def topics() -> list[str]:
    """Every wire name with its version that events may have now."""
    return sorted(FACTS)


def data_schema(topic: str) -> dict[str, Any]:
    """The schema of a fact's data; raises KeyError for an unknown topic."""
    fact = FACTS[topic]
    made = shape(fact).json_schema(mode="serialization")
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
    data = {k: v for k, v in data_schema(topic).items() if k != "$schema"}
    fields = {**ENVELOPE, "type": {"const": PREFIX + topic}, "data": data}
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
