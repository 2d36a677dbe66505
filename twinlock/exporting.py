"""`twinlock audit export`, step by step: a checkpoint, the body, the record, the header."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from psycopg import Connection

from commands.dispatch import run
from commands.record_export import RecordExport
from domain.notes import BadNote, Checkpoint
from domain.refusals import IllegalTransition
from domain.times import rfc3339
from projections import audit_trail
from projections.audit_summary import given
from projections.audit_trail import Filter
from projections.progress import wait_visible
from twinlock.backend import witnesses
from twinlock.composition import Twinlock
from twinlock.outputs import whole_file
from twinlock.running import context
from workers import checkpoints
from workers.audit_export import Export
from workers.checkpoints import FileWitness
from workers.notary import Contradiction, hash_new, sign

SPREAD_WHOLE: Final = 1000
SPREAD_PICKED: Final = 64
"""How many earlier checkpoints an export holds: the more, the closer a place is named."""
PATIENCE: Final = 30.0
"""Seconds to wait for the audit trail to be complete up to the checkpoint."""
PARKED: Final = (
    "SELECT position FROM parked WHERE model = %s AND position <= %s ORDER BY position LIMIT 10"
)
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written; `warnings` say what is wrong with the history itself."""

    count: int
    first: int | None
    last: int | None
    checkpoint: Checkpoint
    warnings: Sequence[str]


def write_export(
    twinlock: Twinlock,
    path: Path,
    wanted: Filter,
    outside: Sequence[str],
    tell: Tell,
) -> Exported:
    """Write the file, which is whole or not there, and record that it was made.

    The time that it says lies before its own checkpoint: one with more events was signed later.
    Raises OSError, MissingNodes, NotInTheHistory, IllegalTransition where nothing was signed yet,
    and NotYetVisible where the audit trail is late.
    """
    filters = given(wanted)
    with twinlock.connect() as connection:
        kept = list(dict.fromkeys([*known(twinlock, outside), *kept_outside(twinlock)]))
        made_at = rfc3339(datetime.now(UTC), "seconds")
        warnings = list(_sign_now(twinlock, connection, kept))
        checkpoint = _newest(twinlock, connection)
        positions = None
        if filters:
            wait_visible(twinlock.reads, audit_trail.KEY, checkpoint.position, PATIENCE)
            warnings += _unseen(connection, checkpoint.position)
            seen = audit_trail.rows(twinlock.reads, wanted, until=checkpoint.position)
            positions = (row.position for row in seen)
        spread = SPREAD_PICKED if filters else SPREAD_WHOLE
        notes = checkpoints.spread(connection, checkpoint.size, spread)
        export_id = twinlock.desk.chance.id()
        export = Export(connection, twinlock.store, twinlock.notary, checkpoint, export_id)
        with tempfile.TemporaryFile(dir=path.parent) as body, whole_file(path) as file:
            export.write_body(
                body, notes, kept, positions, lambda done: tell("", done, checkpoint.size)
            )
            _record(twinlock, export, export_id, filters)
            file.write(export.header(filters, made_at, twinlock.notary.keys))
            body.seek(0)
            shutil.copyfileobj(body, file, 1 << 20)
    if export.differing:
        places = ", ".join(map(str, export.differing[:10]))
        warnings.append(f"events are not what was signed, among them those at {places}")
    return Exported(export.count, export.first, export.last, checkpoint, warnings)


def kept_outside(twinlock: Twinlock) -> Iterator[str]:
    """The newest checkpoint of the file outside of the database, where there is one of ours."""
    for witness in witnesses(twinlock.settings):
        if isinstance(witness, FileWitness):
            with suppress(OSError, BadNote):
                note = witness.newest()
                if note is not None:
                    twinlock.notary.open(note)
                    yield note


def known(twinlock: Twinlock, notes: Sequence[str]) -> list[str]:
    """Checkpoints that somebody has kept; raises BadNote for one that we never signed."""
    for note in notes:
        Checkpoint.parse(twinlock.notary.open(note))
    return list(notes)


def _sign_now(
    twinlock: Twinlock, connection: Connection[Any], kept: Sequence[str]
) -> Iterator[str]:
    """A checkpoint of all that is there, unless the history is not what was signed."""
    while hash_new(connection, twinlock.store):
        pass
    found = checkpoints.remembered(connection)
    if found:
        yield f"the notary has found: {found[0]}"
        return
    try:
        sign(connection, twinlock.notary, kept)
    except Contradiction as contradiction:
        yield str(contradiction)


def _newest(twinlock: Twinlock, connection: Connection[Any]) -> Checkpoint:
    note = checkpoints.newest(connection)
    if note is None:
        raise IllegalTransition("There is no checkpoint yet, as there is no event.")
    return Checkpoint.parse(twinlock.notary.open(note))


def _unseen(connection: Connection[Any], until: int) -> Iterator[str]:
    """A filter sees what the audit trail shows, and what is parked it does not show."""
    parked = connection.execute(PARKED, (audit_trail.KEY, until)).fetchall()
    if parked:
        places = ", ".join(str(position) for (position,) in parked)
        yield f"events are parked, so that no filter saw them, among them those at {places}"


def _record(twinlock: Twinlock, export: Export, export_id: str, filters: Mapping[str, str]) -> None:
    command = RecordExport(
        export_id=export_id,
        format="bundle",
        wanted=filters,
        count=export.count,
        first=export.first,
        last=export.last,
    )
    run(command, context(twinlock), twinlock.desk)
