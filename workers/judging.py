"""Which records of the log are genuine: what the store itself says of their positions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from psycopg import Cursor

from projections.journal import EVENTS, Entry, UnknownType, entry
from workers.cloud_events import UNREADABLE, Envelope, Forged, state_of, topic_of
from workers.ports import Delivery, LogReader

PLACES = f"""
SELECT notification_id, originator_id, originator_version, topic FROM {EVENTS}
WHERE notification_id = ANY(%s)
"""  # noqa: S608 - a constant
Place = tuple[str, int, str]
"""Stream, version and topic."""


@dataclass(frozen=True, slots=True)
class Parked:
    """A record set aside; `position` is known for genuine events only."""

    delivery: Delivery
    reason: str
    position: int | None = None


class Read(NamedTuple):
    """A genuine event of the log."""

    delivery: Delivery
    entry: Entry


def judge(
    cursor: Cursor[Any],
    reader: LogReader,
    envelope: Envelope,
    deliveries: Sequence[Delivery],
) -> list[Read | Parked]:
    """Tell genuine events from others.

    Position, stream, version and topic are compared with the store's: neither a forged record,
    nor a genuine one copied elsewhere, moves a model's position.
    """
    opened = [_open(envelope, delivery) for delivery in deliveries]
    positions = [int(e["id"]) for e in opened if isinstance(e, dict)]
    cursor.execute(PLACES, (positions,))
    places = {position: (stream, version, topic) for position, stream, version, topic in cursor}
    return [
        e if isinstance(e, Parked) else _place(reader, delivery, e, places)
        for delivery, e in zip(deliveries, opened, strict=True)
    ]


def _open(envelope: Envelope, delivery: Delivery) -> dict[str, Any] | Parked:
    try:
        event = envelope.unwrap(delivery.value)
        if event["id"].isdecimal() and event["id"].isascii() and len(event["id"]) < 19:
            return event
    except Forged as forged:
        return Parked(delivery, str(forged))
    return Parked(delivery, "no position")


def _place(
    reader: LogReader, delivery: Delivery, event: Mapping[str, Any], places: Mapping[int, Place]
) -> Read | Parked:
    position = int(event["id"])
    if position not in places:
        return Parked(delivery, "not in the store")
    stream, version, topic = places[position]
    home, told = (stream, reader.partition(stream)), topic_of(event)
    if home != (delivery.key, delivery.partition) or told not in (topic, UNREADABLE):
        return Parked(delivery, "misplaced")
    if told == UNREADABLE:
        return Parked(delivery, "unreadable in the store", position)
    try:
        made = entry(
            position=position, stream=stream, version=version, topic=topic, state=state_of(event)
        )
    except UnknownType:
        return Parked(delivery, f"unknown type {topic}", position)
    except Exception as error:  # whatever is wrong with one event stops no other
        return Parked(delivery, type(error).__name__, position)
    return Read(delivery, made)
