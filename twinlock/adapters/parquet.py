"""Events as a Parquet file: one row an event, for DuckDB, Spark and their likes."""

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import IO, Any, Final

from workers.ports import StoredRecord
from workers.slices import state_of, unreadable

ROWS: Final = 50_000
"""Rows of a group; a file is written in bounded memory."""


class NotInstalled(Exception):
    """The library is an extra; the message says which."""


def write(file: IO[bytes], events: Iterable[StoredRecord]) -> int:
    """Write all events; answers how many they are.

    Raises NotInstalled, Unreadable or OSError.
    """
    arrow, parquet = _library()
    schema = _schema(arrow)
    rows, count = iter(events), 0
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        while group := list(islice(rows, ROWS)):
            writer.write_table(arrow.Table.from_pylist([_row(one) for one in group], schema))
            count += len(group)
    return count


def _library() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        install = f"{sys.executable} -m pip install pyarrow"
        raise NotInstalled(f"Parquet needs pyarrow: {install}") from None
    return pyarrow, parquet


def _schema(arrow: Any) -> Any:
    text = arrow.string()
    columns: Sequence[tuple[str, Any]] = (
        ("position", arrow.int64()),
        ("time", arrow.timestamp("us", tz="UTC")),
        ("type", text),
        ("version", arrow.int16()),
        ("stream", text),
        ("subject", text),
        ("actor_kind", text),
        ("actor_id", text),
        ("request_id", text),
        ("workspace_id", text),
        ("data", text),
    )
    optional = ("actor_id", "workspace_id")
    return arrow.schema([arrow.field(n, kind, nullable=n in optional) for n, kind in columns])


def _row(one: StoredRecord) -> dict[str, Any]:
    state = state_of(one)
    name, _, version = one.topic.rpartition(".v")
    if not (version.isdecimal() and len(version) < 5):
        raise unreadable(one)
    return {
        "position": one.position,
        "time": datetime.fromisoformat(state["time"]),
        "type": name,
        "version": int(version),
        "stream": one.stream,
        "subject": state["subject"],
        "actor_kind": state["actor"]["kind"],
        "actor_id": state["actor"]["id"],
        "request_id": state["request_id"],
        "workspace_id": state["workspace_id"],
        "data": json.dumps(state["data"], ensure_ascii=False, separators=(",", ":")),
    }
