"""Records that could not be applied: set aside with their reason, and tried again when mended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from psycopg import Connection, Cursor, OperationalError
from psycopg.rows import class_row

from projections.journal import EVENTS
from projections.models import Model
from workers.history import entry_of
from workers.judging import Parked
from workers.ports import StoredRecord

KEPT_BYTES = 65536
PARK = """
INSERT INTO parked (model, partition, record_offset, position, reason, record)
SELECT %(model)s, %(partition)s, %(offset)s, %(position)s, %(reason)s, %(record)s
WHERE NOT EXISTS (
    SELECT FROM parked WHERE model = %(model)s AND position = %(position)s::bigint)
ON CONFLICT DO NOTHING
"""
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


class StillFails(Exception):
    """The event at `position` cannot be applied; its cause says why."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


def park(cursor: Cursor[Any], model: str, parked: Sequence[Parked]) -> None:
    """Set records aside, and alarm."""
    for one in parked:
        place = one.delivery
        cursor.execute(
            PARK,
            {
                "model": model,
                "partition": place.partition,
                "offset": place.offset,
                "position": one.position,
                "reason": one.reason,
                "record": place.value[:KEPT_BYTES],
            },
        )
        log.error(
            "record.parked",
            model=model,
            partition=place.partition,
            offset=place.offset,
            position=one.position,
            reason=one.reason,
        )


def parked_records(connection: Connection[Any]) -> list[ParkedRow]:
    """All parked records, oldest first."""
    with connection.cursor(row_factory=class_row(ParkedRow)) as cursor:
        return cursor.execute("SELECT * FROM parked ORDER BY id").fetchall()


def parked_record(connection: Connection[Any], id_: int) -> ParkedRow | None:
    """One parked record."""
    with connection.cursor(row_factory=class_row(ParkedRow)) as cursor:
        return cursor.execute("SELECT * FROM parked WHERE id = %s", (id_,)).fetchone()


def retry(connection: Connection[Any], model: Model, row: ParkedRow) -> None:
    """Apply the event, and what came after it in its stream, as the store has them.

    Raises NotOurs for a record that is no event, and StillFails where it, or what came after it,
    still cannot be applied.
    """
    if row.position is None:
        raise NotOurs
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("SELECT FROM progress WHERE model = %s FOR UPDATE", (row.model,))
        for stored_ in cursor.execute(LATER, (row.position,)).fetchall():
            _apply(cursor, model, StoredRecord(*stored_))
        cursor.execute("DELETE FROM parked WHERE id = %s", (row.id,))


def discard(connection: Connection[Any], ids: Sequence[int]) -> set[int]:
    """Forget parked records; answers which of them there were."""
    query = "DELETE FROM parked WHERE id = ANY(%s) RETURNING id"
    return {row[0] for row in connection.execute(query, (list(ids),))}


def _apply(cursor: Cursor[Any], model: Model, one: StoredRecord) -> None:
    try:
        model.apply(cursor, [entry_of(one)])
    except OperationalError:
        raise
    except Exception as error:  # whatever an event breaks
        raise StillFails(one.position) from error
