"""Domain events to stored JSON and back; what is stored is what is published."""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, cast, get_args, get_type_hints

from eventsourcing.persistence import Mapper, MapperDeserialisationError, StoredEvent

from domain import plain, stored
from domain.facts import FACTS, Actor, Event, Fact, upcast
from domain.times import rfc3339, stored_moment

MICROSECONDS: Final = "microseconds"
KEYS: Final = {"time", "actor", "request_id", "workspace_id", "subject", "data"}


class FactMapper(Mapper[str]):
    """Maps `domain.facts.Event`; the topic is the fact's permanent name."""

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        """Write the event as compact JSON with its keys in a fixed order."""
        event: Event = domain_event
        return StoredEvent(
            originator_id=event.stream,
            originator_version=event.version,
            topic=event.fact.topic(),
            state=encode(event),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        """Read an event, older shapes included; raises MapperDeserialisationError."""
        return decode(
            str(stored_event.originator_id),
            stored_event.originator_version,
            stored_event.topic,
            stored_event.state,
        )


def encode(event: Event) -> bytes:
    """The stored and published form of an event, as UTF-8 JSON."""
    envelope = {
        "time": rfc3339(event.at, MICROSECONDS),
        "actor": {"kind": event.actor.kind, "id": event.actor.id},
        "request_id": event.request_id,
        "workspace_id": event.workspace_id,
        "subject": subject_of(event),
        "data": {
            name: write(getattr(event.fact, name))
            for name, (write, _, _) in _fields(cast(Any, type(event.fact))).items()
        },
    }
    return json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode()


def decode(stream: str, version: int, topic: str, state: bytes) -> Event:
    """The event that was stored; raises MapperDeserialisationError for what is not one."""
    return plain.read(stream, version, topic, state) or _decode(stream, version, topic, state)


def _decode(stream: str, version: int, topic: str, state: bytes) -> Event:
    try:
        envelope = stored.read(state)
        if envelope.keys() != KEYS:
            raise ValueError("the envelope has other keys")
        topic, data = upcast(topic, envelope["data"])
        return Event(
            stream=stream,
            version=version,
            fact=_fact(FACTS[topic], data),
            at=stored_moment(envelope["time"]),
            actor=Actor(**envelope["actor"]),
            request_id=envelope["request_id"],
            workspace_id=envelope["workspace_id"],
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        message = f"{stream} version {version} ({topic}) cannot be read: {type(error).__name__}"
        raise MapperDeserialisationError(message) from error


def subject_of(event: Event) -> str:
    """What the event is about: its stream, or for `workspace.*` the workspace.

    A membership is told about its workspace though it lies in the member's stream.
    """
    if not event.fact.wire_name.startswith("workspace."):
        return event.stream
    workspace_id = getattr(event.fact, "workspace_id", None)
    return f"workspace/{workspace_id}" if workspace_id else event.stream


def _fact(kind: type[Fact], data: Mapping[str, Any]) -> Fact:
    known = _fields(cast(Any, kind))
    if data.keys() != known.keys():
        raise ValueError("the data has other fields")
    return kind(**{name: read(data[name], types) for name, (_, read, types) in known.items()})


Write = Callable[[Any], Any]
Read = Callable[[Any, tuple[type, ...]], Any]


@cache
def _fields(kind: Any) -> dict[str, tuple[Write, Read, tuple[type, ...]]]:
    """How each field of a fact is written, read and checked."""
    hints = get_type_hints(kind)
    return {field.name: _field(hints[field.name]) for field in fields(kind)}


def _field(hint: Any) -> tuple[Write, Read, tuple[type, ...]]:
    members = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    optional = (NoneType,) if NoneType in members else ()
    (only,) = (member for member in members if member is not NoneType)
    if only is datetime:
        return _write_time, _read_time, (str, *optional)
    if only == tuple[str, ...]:
        return list, _read_strings, (list,)
    if only not in (str, int, bool):
        raise TypeError(f"a fact holds {only}, which is no primitive")
    return _same, _read_plain, (only, *optional)


def _same(value: Any) -> Any:
    return value


def _write_time(value: datetime | None) -> str | None:
    return rfc3339(value, MICROSECONDS)


def _read_plain(value: Any, types: tuple[type, ...]) -> Any:
    if type(value) not in types:
        raise TypeError("a field has another type")
    return value


def _read_time(value: Any, types: tuple[type, ...]) -> datetime | None:
    text = _read_plain(value, types)
    return None if text is None else stored_moment(text)


def _read_strings(value: Any, types: tuple[type, ...]) -> tuple[str, ...]:
    return tuple(_read_plain(item, (str,)) for item in _read_plain(value, types))
