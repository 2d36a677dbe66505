"""The audit trail as a stream: recorded before it leaves, and sent in constant memory."""

import json
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

from api import following, streams
from api.accepted import preferred
from api.callers import unauthenticated
from api.calls import JSON, Answer
from api.csv_lines import csv_lines
from api.visits import Visit
from commands.record_export import RecordExport
from domain.times import rfc3339
from projections import audit_trail
from projections.audit_summary import Summary, given, summary
from projections.audit_trail import Filter, Row

KINDS = {"application/x-ndjson": "ndjson", "application/ndjson": "ndjson", "text/csv": "csv"}
COLUMNS = (
    "position",
    "time",
    "type",
    "actor_kind",
    "actor_id",
    "subject",
    "workspace_id",
    "request_id",
    "result",
    "data",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which rows: the filter, where to begin, and how many at most."""

    filter: Filter
    after: int = 0
    limit: int | None = None


def kind_asked() -> str | None:
    """The kind of stream that the request prefers to a page of JSON; None for that page."""
    return KINDS.get(preferred([JSON, *KINDS]))


def export(visit: Visit, wanted: Wanted, kind: str) -> Answer:
    """Record the export, then stream it; its manifest stands in the header Twinlock-Manifest.

    A slow reader holds a thread, so there are few places; raises Unavailable where all are taken.
    """
    with ExitStack() as place:
        place.callback(visit.backend.exports.take())
        begun = _begun(visit, wanted, kind)
        return replace(begun, closed=place.pop_all().close)


def _begun(visit: Visit, wanted: Wanted, kind: str) -> Answer:
    with visit.backend.reads.connection() as connection:
        found = summary(connection, wanted.filter, after=wanted.after, limit=wanted.limit)
    done = visit.run(
        RecordExport(
            export_id=secrets.token_hex(16),
            format=kind,
            wanted=given(wanted.filter),
            count=found.count,
            first=found.first,
            last=found.last,
        )
    )
    rows = audit_trail.rows(
        visit.backend.reads, wanted.filter, after=wanted.after, until=found.last or 0
    )
    held = _held(visit, rows)
    lines = csv_lines(COLUMNS, map(_cells, held)) if kind == "csv" else map(line, held)
    return Answer(
        stream=(text.encode() for text in lines),
        media_type=next(name for name, each in KINDS.items() if each == kind),
        position=done.position,
        headers={
            "Twinlock-Manifest": _manifest(visit, wanted, found),
            "Content-Disposition": f'attachment; filename="audit.{kind}"',
            "X-Accel-Buffering": "no",
        },
    )


def _held(visit: Visit, rows: Iterable[Row]) -> Iterator[Row]:
    """The rows, while the credential stands: an answer that breaks off is shorter than promised."""
    beat = time.monotonic() + streams.BEAT_SECONDS
    for row in rows:
        if time.monotonic() >= beat:
            if not following.holds(visit):
                raise unauthenticated()
            beat = time.monotonic() + streams.BEAT_SECONDS
        yield row


def line(row: Row) -> str:
    """An event as a line of JSON."""
    shown = {name: getattr(row, name) for name in COLUMNS if not name.startswith("actor_")}
    actor = {"kind": row.actor_kind, "id": row.actor_id}
    said = {**shown, "time": rfc3339(row.time), "actor": actor}
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")) + "\n"


def _cells(row: Row) -> tuple[object, ...]:
    data = json.dumps(row.data, ensure_ascii=False, sort_keys=True)
    told = {"data": data, "time": rfc3339(row.time)}
    return tuple(told[name] if name in told else getattr(row, name) for name in COLUMNS)


def _manifest(visit: Visit, wanted: Wanted, found: Summary) -> str:
    """In one line of ASCII, as headers are; the signed form of it is `twinlock audit export`."""
    signed = visit.backend.proofs.head()
    said = {
        "filter": given(wanted.filter),
        "count": found.count,
        "first": found.first,
        "last": found.last,
        "checkpoint": signed and {"size": signed.size, "root": signed.root},
    }
    return json.dumps(said, separators=(",", ":"))
