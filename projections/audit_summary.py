"""How much of the audit trail a filter lets through, and from where to where."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.sql import SQL

from domain.times import rfc3339
from projections.audit_trail import KEY, Filter, matching
from projections.progress import complete_up_to

STRIDE = 200_000
"""Positions that one statement counts: it stays short however long the trail."""
COUNT = SQL(
    "SELECT count(*), min(position), max(position) FROM (SELECT position FROM audit_trail_v1"
    " WHERE position > %(after)s AND position <= %(last)s{} ORDER BY position"
    " LIMIT %(limit)s) AS rows"
)


@dataclass(frozen=True, slots=True)
class Summary:
    """How many rows, with the first and the last position; None where there is none."""

    count: int = 0
    first: int | None = None
    last: int | None = None


def given(wanted: Filter) -> dict[str, str]:
    """The filters that are set, as text."""
    _, values = matching(wanted)
    return {name: _text(value) for name, value in values.items()}


def summary(
    connection: Connection[Any], wanted: Filter, *, after: int = 0, limit: int | None = None
) -> Summary:
    """Of at most `limit` rows behind `after`, up to where the trail is complete."""
    asked, values = matching(wanted)
    query = COUNT.format(asked)
    complete, found = complete_up_to(connection, KEY), Summary()
    for begin in range(after, complete, STRIDE):
        left = None if limit is None else limit - found.count
        if left == 0:
            break
        place = {"after": begin, "last": min(begin + STRIDE, complete), "limit": left}
        row = connection.execute(query, {**values, **place}).fetchone()
        assert row is not None
        if row[0]:
            found = Summary(found.count + row[0], found.first or row[1], row[2])
    return found


def _text(value: str | datetime) -> str:
    return value if isinstance(value, str) else rfc3339(value)
