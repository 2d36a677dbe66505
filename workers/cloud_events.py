"""Events as they leave: CloudEvents 1.0 in structured JSON, with a mac over what matters."""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json

from domain import stored
from workers.ports import StoredRecord

PREFIX = "twinlock."
CONTENT_TYPE = "application/cloudevents+json; charset=UTF-8"
UNREADABLE = "unreadable.v1"
"""The type that stands in the place of a stored event that cannot be read."""
LOG_KEY = "log"
"""The purpose under which the mac's key is derived."""
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_CANONICAL = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)
BODY_ONLY = frozenset({"data", "specversion", "datacontenttype", "dataschema"})
"""What is no header: the same in all records, or long; each header costs as much as a field."""
SIGNED = frozenset({"id", "type", "subject", "data"})


class Forged(Exception):
    """A record that is no event of ours: unreadable, or its mac is wrong."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """Where events come from (PUBLIC_URL), and the key that vouches for them."""

    source: str
    key: bytes = field(repr=False)
    _keyed: hmac.HMAC = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """The key is taken in once, and not for each event."""
        object.__setattr__(self, "_keyed", hmac.new(self.key, digestmod="sha256"))

    def wrap(self, record: StoredRecord) -> dict[str, Any]:
        """The CloudEvent of a stored event: the fields listed here and no others.

        One that cannot be read leaves as UNREADABLE, so that it stops nobody but its own stream.
        """
        try:
            state = stored.read(record.state)
        except stored.Unreadable:
            return self._gap(record)
        event: dict[str, Any] = {
            "specversion": "1.0",
            "id": str(record.position),
            "source": self.source,
            "type": PREFIX + record.topic,
            "subject": state["subject"],
            "time": state["time"],
            "datacontenttype": "application/json",
            "dataschema": f"{self.source}/v1/schemas/{record.topic}",
            "actorkind": state["actor"]["kind"],
            "actorid": state["actor"]["id"],
            "requestid": state["request_id"],
            "workspaceid": state["workspace_id"],
            "data": state["data"],
        }
        event = {name: value for name, value in event.items() if value is not None}
        return {**event, "mac": self.mac(event)}

    def _gap(self, record: StoredRecord) -> dict[str, Any]:
        """What is known without reading it: its place, and what it was stored as."""
        event = {
            "specversion": "1.0",
            "id": str(record.position),
            "source": self.source,
            "type": PREFIX + UNREADABLE,
            "subject": record.stream,
            "datacontenttype": "application/json",
            "dataschema": f"{self.source}/v1/schemas/{UNREADABLE}",
            "data": {"type": record.topic},
        }
        return {**event, "mac": self.mac(event)}

    def mac(self, event: Mapping[str, Any]) -> str:
        """HMAC-SHA-256 over the canonical JSON of all fields but the mac itself, in hexadecimal.

        Id, type, subject and data must be there; the rest (time, actor, request, workspace)
        is vouched for as well.
        """
        if not event.keys() >= SIGNED:
            raise Forged("incomplete")
        signed = {
            name: value for name, value in event.items() if name != "mac" and value is not None
        }
        made = self._keyed.copy()
        made.update(_CANONICAL.encode(signed).encode())
        return made.hexdigest()

    def genuine(self, event: Mapping[str, Any]) -> bool:
        """Whether the mac is right; compared in constant time."""
        return hmac.compare_digest(self.mac(event), str(event.get("mac", "")))

    def unwrap(self, value: bytes) -> dict[str, Any]:
        """Read an event and check its mac; raises Forged."""
        for read in (from_json, json.loads):  # the first is faster, and refuses more
            try:
                event = read(value)
                if isinstance(event, dict) and self.genuine(event):
                    return event
            except (ValueError, KeyError, TypeError, RecursionError):
                pass
        raise Forged("unreadable, or the mac is wrong")


def serialized(event: Mapping[str, Any]) -> bytes:
    """The structured JSON of an event."""
    return _COMPACT.encode(event).encode()


def headers(event: Mapping[str, Any]) -> dict[str, str]:
    """The attributes again, to filter on without reading the body, with the format's name."""
    named = {name: str(value) for name, value in event.items() if name not in BODY_ONLY}
    return {**named, "content-type": CONTENT_TYPE}


def topic_of(event: Mapping[str, Any]) -> str:
    """The wire name with its version, such as `mfa.bound.v1`."""
    return str(event["type"]).removeprefix(PREFIX)


def state_of(event: Mapping[str, Any]) -> dict[str, Any]:
    """What the store keeps of it, out of the event."""
    return {
        "time": event["time"],
        "actor": {"kind": event["actorkind"], "id": event.get("actorid")},
        "request_id": event["requestid"],
        "workspace_id": event.get("workspaceid"),
        "subject": event["subject"],
        "data": event["data"],
    }
