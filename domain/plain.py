"""Reads an event in one pass where it is stored in the shape that this release gives it."""

from dataclasses import fields
from datetime import datetime
from functools import cache
from types import NoneType
from typing import Any, get_args, get_type_hints

from pydantic_core import SchemaValidator, ValidationError
from pydantic_core import core_schema as shape

from domain.facts import FACTS, UPCASTERS, Actor, Event
from domain.stored import LONGEST
from domain.times import stored_moment


def read(stream: str, version: int, topic: str, state: bytes) -> Event | None:
    """The event, or None: then it has to be read the long way, which says what is wrong with it.

    What is answered is what the long way would answer: nothing is converted, nothing left out.
    """
    if topic not in FACTS or topic in UPCASTERS or len(state) > LONGEST:
        return None
    try:
        found = _reader(topic).validate_json(state)
    except ValidationError:
        return None
    return Event(
        stream,
        version,
        found["data"],
        found["time"],
        found["actor"],
        found["request_id"],
        found["workspace_id"],
    )


_TEXT = shape.str_schema(strict=True)
_SHAPES: dict[Any, shape.CoreSchema] = {
    str: _TEXT,
    int: shape.int_schema(strict=True),
    bool: shape.bool_schema(strict=True),
    datetime: shape.no_info_after_validator_function(stored_moment, _TEXT),
    tuple[str, ...]: shape.tuple_schema([_TEXT], variadic_item_index=0),
}


@cache
def _reader(topic: str) -> SchemaValidator:
    known = {
        "time": _SHAPES[datetime],
        "actor": _class(Actor),
        "request_id": _TEXT,
        "workspace_id": shape.nullable_schema(_TEXT),
        "subject": _TEXT,
        "data": _class(FACTS[topic]),
    }
    members = {name: shape.typed_dict_field(each) for name, each in known.items()}
    return SchemaValidator(shape.typed_dict_schema(members, extra_behavior="forbid"))


def _class(kind: type[Any]) -> shape.CoreSchema:
    """Objects of a dataclass, each field given and no other."""
    hints, names = get_type_hints(kind), [field.name for field in fields(kind)]
    members = [shape.dataclass_field(name, _shape(hints[name]), kw_only=True) for name in names]
    given = shape.dataclass_args_schema(kind.__name__, members, extra_behavior="forbid")
    return shape.dataclass_schema(kind, given, names, slots=True)


def _shape(hint: Any) -> shape.CoreSchema:
    kinds = [kind for kind in get_args(hint) if kind is not NoneType]
    return shape.nullable_schema(_SHAPES[kinds[0]]) if NoneType in get_args(hint) else _SHAPES[hint]
