"""Where checkpoints are kept: the database, and outside of it a file and a topic."""

import os
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from psycopg import Connection

from domain.notes import Checkpoint, split_notes
from domain.tampering import Finding
from workers.ports import Outgoing, RelayedLog

SUFFIX = ".checkpoints"
"""What the topic's name adds to that of the events."""
TAIL = 64 * 1024
SCHEMA = """
CREATE TABLE IF NOT EXISTS checkpoints (
    size bigint PRIMARY KEY,
    position bigint NOT NULL,
    made_at timestamptz NOT NULL,
    note text NOT NULL
);
CREATE TABLE IF NOT EXISTS notary_findings (
    position bigint NOT NULL,
    until bigint NOT NULL,
    kind text NOT NULL,
    detail text NOT NULL,
    found_at timestamptz NOT NULL DEFAULT now()
);
"""


class Witness(Protocol):
    """Keeps checkpoints outside of the database."""

    @property
    def name(self) -> str: ...
    def newest(self) -> str | None:
        """The last note that it was given; raises OSError or LogUnavailable."""
        ...

    def put(self, notes: Sequence[str]) -> None:
        """Keep more, durably, in order; raises OSError or LogUnavailable."""
        ...


def keep(connection: Connection[Any], checkpoint: Checkpoint, note: str) -> None:
    """Keep a signed checkpoint."""
    connection.execute(
        "INSERT INTO checkpoints (size, position, made_at, note) VALUES (%s, %s, %s, %s)",
        (checkpoint.size, checkpoint.position, checkpoint.made_at, note),
    )


def newest(connection: Connection[Any]) -> str | None:
    """The note of the largest checkpoint."""
    row = connection.execute("SELECT note FROM checkpoints ORDER BY size DESC LIMIT 1").fetchone()
    return row[0] if row else None


def behind(connection: Connection[Any], size: int, limit: int = 1000) -> list[tuple[int, str]]:
    """Size and note of the next checkpoints that are larger than `size`, in order."""
    rows = connection.execute(
        "SELECT size, note FROM checkpoints WHERE size > %s ORDER BY size LIMIT %s", (size, limit)
    )
    return rows.fetchall()


def spread(connection: Connection[Any], size: int, most: int) -> list[str]:
    """At most `most` notes up to a size, evenly spread, the newest among them."""
    rows = connection.execute(
        "WITH numbered AS (SELECT note, row_number() OVER (ORDER BY size DESC) - 1 AS n,"
        " count(*) OVER () AS total, size FROM checkpoints WHERE size <= %(size)s)"
        " SELECT note FROM numbered WHERE n %% ((total + %(most)s - 1) / %(most)s) = 0"
        " ORDER BY size",
        {"size": size, "most": most},
    )
    return [note for (note,) in rows]


def remember(connection: Connection[Any], findings: Iterable[Finding]) -> None:
    """Replace what the last check of the history has found."""
    with connection.transaction():
        connection.execute("DELETE FROM notary_findings")
        connection.cursor().executemany(
            "INSERT INTO notary_findings (position, until, kind, detail) VALUES (%s, %s, %s, %s)",
            [(each.position, each.until, each.kind, each.detail) for each in findings],
        )


def remembered(connection: Connection[Any]) -> list[Finding]:
    """What the last check has found."""
    rows = connection.execute("SELECT position, until, kind, detail FROM notary_findings")
    return sorted(Finding(*row) for row in rows)


class FileWitness:
    """A file that only grows; each note is flushed to the disk before the next step."""

    def __init__(self, path: Path) -> None:
        """Open nothing yet."""
        self._path = path

    @property
    def name(self) -> str:
        """The file's path."""
        return str(self._path)

    def newest(self) -> str | None:
        """The last whole note; a torn one at the end is passed over."""
        if not self._path.exists():
            return None
        with self._path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL))
            notes = split_notes(file.read().decode(errors="replace"))
        return notes[-1] if notes else None

    def put(self, notes: Sequence[str]) -> None:
        """Append them, apart by empty lines, and flush."""
        if not notes:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a+b") as file:
            torn = file.tell() and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n"
            file.write(("\n" * bool(torn) + "".join(f"\n{note}" for note in notes)).encode())
            file.flush()
            os.fsync(file.fileno())


class TopicWitness:
    """A topic of one partition, whose records are the notes."""

    def __init__(self, log: RelayedLog) -> None:
        """Connect at first use."""
        self._log = log

    @property
    def name(self) -> str:
        """The topic."""
        return self._log.name

    def newest(self) -> str | None:
        """The last record."""
        with closing(self._log.writer()) as writer:
            values = [value for value in writer.read(writer.ends()).values() if value is not None]
        return values[-1].decode(errors="replace") if values else None

    def put(self, notes: Sequence[str]) -> None:
        """Put them, acknowledged by all replicas."""
        if not notes:
            return
        with closing(self._log.writer()) as writer:
            writer.put([Outgoing(self._log.name, note.encode(), {}) for note in notes])
