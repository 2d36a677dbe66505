"""Where a live read model stands, as a rebuild sees it: its cut through the history, its marks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from projections import progress
from projections.journal import EVENTS
from projections.progress import EMBEDDED

Partition = Callable[[str, int], int]
"""Which partition a stream is in, of how many."""
LOADED = """
SELECT partition, applied.position, applied.generation = coalesce(head.generation, 0)
FROM progress AS applied LEFT JOIN log_head AS head ON true
WHERE model = %s AND applied.log = %s
"""
BEGIN = """
INSERT INTO progress (model, log, partition, generation)
SELECT %(model)s, %(log)s, p, coalesce((SELECT generation FROM log_head), 0)
FROM (SELECT partition FROM relay_progress WHERE %(log)s <> %(embedded)s
    UNION SELECT 0 WHERE %(log)s = %(embedded)s) AS known (p)
ON CONFLICT (model, log, partition) DO NOTHING
"""
HOLD = "SELECT FROM progress WHERE model = %s AND log = %s ORDER BY partition FOR UPDATE"
MOVE = """
UPDATE progress SET position = greatest(position, %(head)s),
    next_offset = CASE WHEN log = %(embedded)s THEN greatest(next_offset, %(head)s + 1)
        ELSE next_offset END
WHERE model = %(model)s AND log = %(log)s
    AND generation = coalesce((SELECT generation FROM log_head), 0)
"""
"""Beyond Kafka's offsets nothing is skipped: records that the tables have are read and dropped."""
PARK = f"""
INSERT INTO parked (model, partition, record_offset, position, reason, record)
SELECT %s, 0, 0, %s, %s, state FROM {EVENTS} WHERE notification_id = %s
AND NOT EXISTS (SELECT FROM parked WHERE model = %s AND position = %s) ON CONFLICT DO NOTHING
"""  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True)
class Cut:
    """What the live model has applied: all up to `first`, and of each partition what it says."""

    first: int
    positions: Mapping[int, int]
    partition: Partition
    comparable: bool

    @property
    def last(self) -> int:
        """Beyond this nothing is applied."""
        return max(self.first, *self.positions.values())

    def holds(self, position: int, stream: str) -> bool:
        """Whether the event is one that the live model has met."""
        if position <= self.first:
            return True
        return position <= self.positions.get(self.partition(stream, len(self.positions)), 0)


@dataclass(frozen=True, slots=True)
class Live:
    """The progress of a model on a log."""

    model: str
    log: str
    partition: Partition

    def cut(self, connection: Connection[Any], head: int) -> Cut:
        """Where the model stands in this snapshot; the head where it has not begun."""
        rows = connection.execute(LOADED, (self.model, self.log)).fetchall()
        positions = {partition: position for partition, position, _ in rows}
        current = bool(rows) and all(same for *_, same in rows)
        if not current or not any(positions.values()):
            return Cut(head, {0: head}, self.partition, comparable=False)
        complete = progress.complete_up_to(connection, self.model)
        return Cut(complete, positions, self.partition, comparable=True)

    def hold(self, connection: Connection[Any]) -> None:
        """Keep every projector of the model waiting until the transaction ends."""
        connection.execute(BEGIN, {"model": self.model, "log": self.log, "embedded": EMBEDDED})
        connection.execute(HOLD, (self.model, self.log))

    def move(self, connection: Connection[Any], head: int) -> None:
        """Everything up to the head is applied now."""
        values = {"model": self.model, "log": self.log, "embedded": EMBEDDED, "head": head}
        connection.execute(MOVE, values)


def settle_parked(
    connection: Connection[Any], model: str, head: int, failed: Mapping[int, str]
) -> None:
    """Forget parked events that could be applied this time, and park those that could not."""
    connection.execute(
        "DELETE FROM parked WHERE model = %s AND position <= %s AND NOT position = ANY(%s)",
        (model, head, list(failed)),
    )
    values = [(model, p, reason, p, model, p) for p, reason in failed.items()]
    connection.cursor().executemany(PARK, values)
