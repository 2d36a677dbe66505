"""An audit export as a fact: what was taken out of the history, by whom, when."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar

from domain.facts import Event, Fact, fact
from domain.times import EPOCH


@fact("audit.exported")
class AuditExported(Fact):
    """Somebody took a part of the history out, as a stream or a file."""

    format: str
    filter: tuple[str, ...]
    count: int
    first: int | None
    last: int | None


@dataclass(frozen=True, slots=True)
class AuditExport:
    """One export; its stream holds the one fact that it was made."""

    kind: ClassVar[str] = "audit"
    snapshot_version: ClassVar[int] = 1

    id: str
    version: int = 0
    updated_at: datetime = EPOCH


def evolve(export: AuditExport, event: Event) -> AuditExport:
    """The export after `event`."""
    return replace(export, version=event.version, updated_at=event.at)
