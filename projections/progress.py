"""How far each read model has come, and whether that is far enough for a reader."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from psycopg import Connection

from domain.refusals import NotYetVisible
from projections.journal import EVENTS

EMBEDDED = "embedded"
"""The name of the log that is the store itself; any other is a topic."""
PAUSE = 0.003
SCHEMA = """
CREATE TABLE IF NOT EXISTS log_head (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    log text NOT NULL,
    generation bigint NOT NULL DEFAULT 0,
    position bigint NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS relay_progress (
    partition int PRIMARY KEY,
    first_offset bigint NOT NULL DEFAULT 0,
    record_offset bigint NOT NULL,
    position bigint NOT NULL
);
CREATE TABLE IF NOT EXISTS progress (
    model text NOT NULL,
    log text NOT NULL,
    partition int NOT NULL,
    generation bigint NOT NULL DEFAULT 0,
    next_offset bigint NOT NULL DEFAULT 0,
    position bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (model, log, partition)
);
CREATE TABLE IF NOT EXISTS parked (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    model text NOT NULL,
    partition int NOT NULL,
    record_offset bigint NOT NULL,
    position bigint,
    reason text NOT NULL,
    record bytea NOT NULL,
    parked_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS complete (
    model text PRIMARY KEY,
    generation bigint NOT NULL,
    position bigint NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS parked_once
    ON parked (model, partition, record_offset, sha256(record));
"""
WAS_COMPLETE = """
SELECT position FROM complete WHERE model = %(model)s AND generation = head.generation
"""
"""What was complete stays complete, though a partition that idled has a new record by now."""


def _put_and_applied(model: str) -> str:
    return f"""relay_progress AS put LEFT JOIN progress AS applied
        ON applied.model = {model} AND applied.log = head.log
        AND applied.partition = put.partition AND applied.generation = head.generation"""


def reached(model: str) -> str:
    """In SQL: up to where the model has applied each partition of the log in `head`."""
    return f"""least(head.position, (
        SELECT min(coalesce(applied.position, 0)) FROM {_put_and_applied(model)}
        WHERE coalesce(applied.position, 0) < put.position
    ))"""  # noqa: S608 - a name


VISIBLE = f"""
SELECT CASE WHEN head.log = '{EMBEDDED}' THEN EXISTS (
    SELECT FROM progress AS applied WHERE model = %(model)s AND log = head.log AND (
        position >= %(at_least)s OR twinlock_head() >= %(at_least)s AND NOT EXISTS (
            SELECT FROM {EVENTS} WHERE notification_id > applied.position
            AND notification_id <= %(at_least)s
    ))
) ELSE ({WAS_COMPLETE}) >= %(at_least)s OR head.position >= %(at_least)s AND NOT EXISTS (
    SELECT FROM {_put_and_applied("%(model)s")}
    WHERE coalesce(applied.position, 0) < least(put.position, %(at_least)s)
) END
FROM log_head AS head
"""  # noqa: S608 - a constant
COMPLETE = f"""
SELECT CASE WHEN head.log = '{EMBEDDED}' THEN (
    SELECT max(position) FROM progress WHERE model = %(model)s AND log = head.log
) ELSE greatest({reached("%(model)s")}, ({WAS_COMPLETE})) END
FROM log_head AS head
"""  # noqa: S608 - a constant


MOST_BEHIND = 10_000
BEHIND = f"""
SELECT count(*) FROM (SELECT FROM {EVENTS} WHERE notification_id > %s LIMIT {MOST_BEHIND}) AS ahead
"""  # noqa: S608 - constants
PARKED = "SELECT model, count(*) FROM parked GROUP BY model"


class Connections(Protocol):
    """A pool that lends connections; trouble with the database is Unavailable."""

    def connection(self) -> AbstractContextManager[Connection[Any]]: ...


def choose(connection: Connection[Any], log: str) -> bool:
    """Say which log feeds the read models; another one than before starts from its beginning.

    Answers whether it is another one.
    """
    connection.execute(
        "INSERT INTO log_head (log) VALUES (%s) ON CONFLICT (one) DO NOTHING", (log,)
    )
    changed = connection.execute(
        "UPDATE log_head SET log = %s, generation = generation + 1, position = 0 WHERE log <> %s",
        (log, log),
    )
    if changed.rowcount:
        connection.execute("DELETE FROM relay_progress")
    return changed.rowcount > 0


def visible(connection: Connection[Any], model: str, at_least: int) -> bool:
    """Whether the model has applied everything up to a position.

    A partition is waited for only up to the last record that the relay put there: an idle one
    is not a late one.
    """
    if at_least <= 0:
        return True
    row = connection.execute(VISIBLE, {"model": model, "at_least": at_least}).fetchone()
    return bool(row and row[0])


def wait_visible(pool: Connections, model: str, at_least: int, timeout: float) -> None:
    """Wait until it is visible, polling every few ms; raises NotYetVisible after `timeout` s."""
    deadline = time.monotonic() + timeout
    while True:
        with pool.connection() as connection:
            if visible(connection, model, at_least):
                return
        if time.monotonic() >= deadline:
            raise NotYetVisible("Not applied yet: ask again.", retry_after=1)
        time.sleep(PAUSE)


def complete_up_to(connection: Connection[Any], model: str) -> int:
    """The position up to which every event has certainly been applied to the model."""
    row = connection.execute(COMPLETE, {"model": model}).fetchone()
    return int(row[0] or 0) if row else 0


def behind(connection: Connection[Any], model: str) -> int:
    """How many events lie beyond that position; beyond MOST_BEHIND they are not counted."""
    row = connection.execute(BEHIND, (complete_up_to(connection, model),)).fetchone()
    return int(row[0]) if row else 0


def parked(connection: Connection[Any], models: Sequence[str]) -> dict[str, int]:
    """How many records each of the models could not apply."""
    return {**dict.fromkeys(models, 0), **dict(connection.execute(PARKED).fetchall())}
