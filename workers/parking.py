"""Records that could not be applied: set aside with their reason, and tried again when mended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from psycopg import Connection, Cursor
from psycopg.rows import class_row

from domain import stored
from projections.journal import EVENTS, Entry, entry
from projections.models import Model
from workers.judging import Parked

KEPT_BYTES = 65536
LATER = f"""
SELECT later.notification_id, later.originator_id, later.originator_version, later.topic,
    later.state
FROM {EVENTS} AS one JOIN {EVENTS} AS later ON later.originator_id = one.originator_id
    AND later.originator_version >= one.originator_version
WHERE one.notification_id = %s ORDER BY later.originator_version
"""  # noqa: S608 - a constant

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ParkedRow:
    """A parked record; `position` is None where it is no event of ours."""

    id: int
    model: str
    partition: int
    record_offset: int
    position: int | None
    reason: str
    record: bytes
    parked_at: datetime


class NotOurs(Exception):
    """The record is no event of the store, so there is nothing to apply."""


def park(cursor: Cursor[Any], model: str, parked: Sequence[Parked]) -> None:
    """Set records aside, and alarm."""
    for one in parked:
        place = one.delivery
        cursor.execute(
            "INSERT INTO parked (model, partition, record_offset, position, reason, record)"
            " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (
                model,
                place.partition,
                place.offset,
                one.position,
                one.reason,
                place.value[:KEPT_BYTES],
            ),
        )
        log.error(
            "record.parked",
            model=model,
            partition=place.partition,
            offset=place.offset,
            position=one.position,
            reason=one.reason,
        )


def parked_records(connection: Connection[Any], model: str | None = None) -> list[ParkedRow]:
    """All parked records, oldest first."""
    with connection.cursor(row_factory=class_row(ParkedRow)) as cursor:
        cursor.execute(
            "SELECT * FROM parked WHERE %(model)s::text IS NULL OR model = %(model)s ORDER BY id",
            {"model": model},
        )
        return cursor.fetchall()


def parked_record(connection: Connection[Any], id_: int) -> ParkedRow | None:
    """One parked record."""
    with connection.cursor(row_factory=class_row(ParkedRow)) as cursor:
        return cursor.execute("SELECT * FROM parked WHERE id = %s", (id_,)).fetchone()


def retry(connection: Connection[Any], model: Model, row: ParkedRow) -> None:
    """Apply the event, and what came after it in its stream, as the store has them.

    Raises NotOurs for a record that is no event, and whatever the model raises if it still fails.
    """
    if row.position is None:
        raise NotOurs
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("SELECT FROM progress WHERE model = %s FOR UPDATE", (row.model,))
        for one in _stream_from(cursor, row.position):
            model.apply(cursor, [one])
        cursor.execute("DELETE FROM parked WHERE id = %s", (row.id,))


def discard(connection: Connection[Any], id_: int) -> None:
    """Forget a parked record."""
    connection.execute("DELETE FROM parked WHERE id = %s", (id_,))


def _stream_from(cursor: Cursor[Any], position: int) -> list[Entry]:
    cursor.execute(LATER, (position,))
    return [
        entry(position=p, stream=stream, version=version, topic=topic, state=stored.read(state))
        for p, stream, version, topic, state in cursor
    ]
