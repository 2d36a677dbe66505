"""Compares two tables of one shape, and names the first difference."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from psycopg import Connection
from psycopg.sql import SQL, Composed, Identifier

KEY = """
SELECT attname FROM pg_index JOIN pg_attribute
    ON attrelid = indrelid AND attnum = ANY(indkey)
WHERE indrelid = %s::regclass AND indisprimary ORDER BY array_position(indkey::int2[], attnum)
"""
COLUMNS = """
SELECT attname FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two tables part; `column` is None where one of them has no such row."""

    table: str
    key: str
    column: str | None
    live: str | None
    fresh: str | None

    def __str__(self) -> str:
        where = f"{self.table} {self.key}"
        if self.column is None:
            there = "fresh" if self.live is None else "live"
            return f"{where}: only the {there} one has this row"
        return f"{where}, {self.column}: live {self.live!r}, fresh {self.fresh!r}"


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two: a connection, and the schema that its table is in."""

    connection: Connection[Any]
    schema: str

    def columns(self, query: str, table: str) -> list[str]:
        """Names of columns."""
        name = Identifier(self.schema, table).as_string(self.connection)
        return [row[0] for row in self.connection.execute(query.encode(), (name,))]

    def lines(self, query: Composed) -> Iterator[bytes]:
        """Rows as the server writes them."""
        copy_out = SQL("COPY ({}) TO STDOUT").format(query)
        with self.connection.cursor() as cursor, cursor.copy(copy_out) as copy:
            for line in copy:
                yield bytes(line)

    def has(self, table: str, key: Sequence[str], values: Sequence[str]) -> bool:
        """Whether there is a row of this key."""
        asked = SQL(" AND ").join(SQL("{}::text = %s").format(Identifier(k)) for k in key)
        query = SQL("SELECT EXISTS (SELECT FROM {} WHERE {})").format(
            Identifier(self.schema, table), asked
        )
        row = self.connection.execute(query, list(values)).fetchone()
        return bool(row and row[0])


def first_difference(table: str, live: Side, fresh: Side) -> Difference | None:
    """The first row, in the order of the primary key, that is not the same on both sides."""
    key, columns = live.columns(KEY, table), live.columns(COLUMNS, table)
    pair = _first_unlike(live.lines(_all(live, table, key)), fresh.lines(_all(fresh, table, key)))
    if pair is None:
        return None
    rows = [dict(zip(columns, _values(line), strict=True)) if line else None for line in pair]
    return _named(table, key, columns, rows, fresh)


def _first_unlike(
    one: Iterator[bytes], other: Iterator[bytes]
) -> tuple[bytes | None, bytes | None] | None:
    return next((pair for pair in zip_longest(one, other) if pair[0] != pair[1]), None)


def _named(
    table: str,
    key: Sequence[str],
    columns: Sequence[str],
    rows: Sequence[dict[str, str | None] | None],
    fresh: Side,
) -> Difference:
    live_row, fresh_row = rows
    keys = [[row[name] or "" for name in key] if row else None for row in rows]
    if live_row and fresh_row and keys[0] == keys[1]:
        column = next(name for name in columns if live_row[name] != fresh_row[name])
        return Difference(table, _shown(key, keys[0]), column, live_row[column], fresh_row[column])
    if keys[0] and not fresh.has(table, key, keys[0]):
        return Difference(table, _shown(key, keys[0]), None, "a row", None)
    return Difference(table, _shown(key, keys[1]), None, None, "a row")


def _shown(key: Sequence[str], values: Sequence[str] | None) -> str:
    return " ".join(f"{name}={value}" for name, value in zip(key, values or (), strict=True))


def _all(side: Side, table: str, key: Sequence[str]) -> Composed:
    return SQL("SELECT * FROM {} ORDER BY {}").format(
        Identifier(side.schema, table), SQL(", ").join(map(Identifier, key))
    )


def _values(line: bytes) -> list[str | None]:
    """The fields of a line in COPY's text format, with its backslashes."""
    fields = line.rstrip(b"\n").decode().split("\t")
    return [None if field == r"\N" else _unescaped(field) for field in fields]


def _unescaped(field: str) -> str:
    plain = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v"}
    return re.sub(r"\\(.)", lambda found: plain.get(found[1], found[1]), field)
