"""Record that a part of the history is taken out, before it leaves."""

from collections.abc import Mapping
from dataclasses import dataclass

from commands.grants import Done
from commands.ports import Context, Desk
from domain.audit_export import AuditExport, AuditExported


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordExport:
    """`wanted` are the filters as they were given, ids and times only; no rows: no positions."""

    export_id: str
    format: str
    wanted: Mapping[str, str]
    count: int
    first: int | None
    last: int | None


def handle(command: RecordExport, context: Context, desk: Desk) -> Done:
    """Each export has a stream of its own."""
    exported = AuditExported(
        format=command.format,
        filter=tuple(f"{name}={value}" for name, value in sorted(command.wanted.items())),
        count=command.count,
        first=command.first,
        last=command.last,
    )
    export = AuditExport(command.export_id)
    return Done(position=desk.store.append(context, (export, (exported,))))
