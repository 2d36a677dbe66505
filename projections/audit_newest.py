"""The audit trail as people read it: the newest first, and one event at a time."""

from typing import Any

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.sql import SQL, Composable

from projections.audit_trail import COLUMNS, KEY, Filter, Row, matching
from projections.progress import complete_up_to


def before(
    connection: Connection[Any], wanted: Filter, *, position: int | None = None, limit: int = 50
) -> list[Row]:
    """The newest rows older than `position`, or than now, newest first."""
    top = complete_up_to(connection, KEY) + 1
    end = top if position is None else min(position, top)
    return _rows(connection, wanted, SQL("position < %(before)s"), "DESC", before=end, limit=limit)


def behind(
    connection: Connection[Any], wanted: Filter, *, position: int, limit: int = 50
) -> list[Row]:
    """The oldest rows newer than `position`, newest first."""
    complete = complete_up_to(connection, KEY)
    where = SQL("position > %(after)s AND position <= %(complete)s")
    values = {"after": position, "complete": complete, "limit": limit}
    return _rows(connection, wanted, where, "ASC", **values)[::-1]


def event(connection: Connection[Any], position: int, wanted: Filter) -> Row | None:
    """The event at a position, where it is among the wanted."""
    where = SQL("position = %(position)s")
    found = _rows(connection, wanted, where, "ASC", position=position, limit=1)
    return found[0] if found else None


def _rows(
    connection: Connection[Any], wanted: Filter, where: Composable, order: str, **values: int
) -> list[Row]:
    asked, sought = matching(wanted)
    query = COLUMNS + SQL(" WHERE {}{} ORDER BY position {} LIMIT %(limit)s").format(
        where, asked, SQL("DESC" if order == "DESC" else "ASC")
    )
    with connection.cursor(row_factory=class_row(Row)) as cursor:
        return cursor.execute(query, {**sought, **values}).fetchall()
