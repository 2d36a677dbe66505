"""What is stored of an event around its place: JSON that must have an event's fields."""

import json
from datetime import datetime
from typing import Any, Final, NoReturn, cast

from pydantic_core import from_json

LONGEST: Final = 256 * 1024
"""Bytes; what is asked of us is at most a quarter of that, and brokers take four times as much."""


class Unreadable(ValueError):
    """Bytes that no event has, of whatever type or release."""


def read(state: bytes) -> dict[str, Any]:
    """Time, actor, request, workspace, subject and data; raises Unreadable.

    The type is not looked at, so that events of a later release are events, too. What is answered
    can be written as JSON again, in UTF-8, for whoever reads it next.
    """
    if len(state) > LONGEST:
        raise Unreadable("it is too long")
    found = _json(state)
    if not _is_event(found):
        raise Unreadable("it has not the fields of an event")
    return cast(dict[str, Any], found)


def readable(state: bytes) -> bool:
    """Whether it is an event of some type."""
    try:
        read(state)
    except Unreadable:
        return False
    return True


def _json(state: bytes) -> Any:
    """Its value. The fast parser refuses more than the other, and what it takes they read alike."""
    try:
        return from_json(state, allow_inf_nan=False)
    except ValueError:
        return _slowly(state)


def _slowly(state: bytes) -> Any:
    try:
        text = state.decode()
        found = _STRICT.decode(text)
        if "\\u" in text:  # perhaps half of a surrogate pair, which has no UTF-8
            json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise Unreadable("it is no JSON") from None
    return found


def _is_event(found: Any) -> bool:
    """Asked of every event that is read: a match statement takes three times as long."""
    try:
        return (
            isinstance(found["actor"]["kind"], str)
            and _is_text_or_none(found["actor"]["id"])
            and isinstance(found["request_id"], str)
            and _is_text_or_none(found["workspace_id"])
            and isinstance(found["subject"], str)
            and isinstance(found["data"], dict)
            and _is_time(found["time"])
        )
    except (KeyError, TypeError):
        return False


def _is_text_or_none(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_time(text: Any) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except (ValueError, TypeError):
        return False


def _refused(name: str) -> NoReturn:
    raise ValueError(name)


_STRICT = json.JSONDecoder(parse_constant=_refused)
"""NaN and the infinities are no JSON, though Python reads and writes them."""
