"""The audit trail as people read it: the newest first, and one event at a time."""

from typing import Any

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.sql import SQL

from projections.audit_trail import COLUMNS, KEY, Filter, Row, matching, page
from projections.progress import complete_up_to

BEFORE = SQL(" WHERE position < %(before)s{} ORDER BY position DESC LIMIT %(limit)s")


def before(
    connection: Connection[Any], wanted: Filter, *, position: int | None = None, limit: int = 50
) -> list[Row]:
    """The newest rows older than `position`, or than now, newest first."""
    asked, values = matching(wanted)
    top = complete_up_to(connection, KEY) + 1
    values |= {"before": top if position is None else min(position, top), "limit": limit}
    with connection.cursor(row_factory=class_row(Row)) as cursor:
        return cursor.execute(COLUMNS + BEFORE.format(asked), values).fetchall()


def behind(
    connection: Connection[Any], wanted: Filter, *, position: int, limit: int = 50
) -> list[Row]:
    """The oldest rows newer than `position`, newest first."""
    return page(connection, wanted, after=position, limit=limit)[::-1]


def event(connection: Connection[Any], position: int, wanted: Filter) -> Row | None:
    """The event at a position, where it is among the wanted."""
    found = page(connection, wanted, after=position - 1, until=position, limit=1)
    return found[0] if found else None
