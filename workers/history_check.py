"""One pass over the stored events: are they what was hashed, and is that what was signed?"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from psycopg import Connection

from domain.anchors import Anchor, Anchors
from domain.leaves import Content
from domain.merkle import Frontier
from domain.notes import BadNote, Checkpoint
from domain.tampering import (
    ALTERED,
    FORGED,
    INSERTED,
    ROLLED_BACK,
    Comparison,
    Finding,
    Found,
    Sealed,
)
from projections.journal import EVENTS
from workers import checkpoints, tiles
from workers.ports import Events, StoredRecord

STRAYS = f"""
SELECT notification_id FROM {EVENTS}
WHERE notification_id <= 0 OR notification_id > (SELECT twinlock_last_id()) ORDER BY 1 LIMIT 1000
"""  # noqa: S608 - a constant
"""Where no append puts an event and no reader in order passes, though its stream has it."""
Open = Callable[[str], str]
"""The text of a note of ours; raises BadNote."""


class HistoryCheck:
    """Reads the whole history once; `findings` is complete when `steps` has ended."""

    def __init__(
        self, connection: Connection[Any], source: Events, open_: Open, outside: Iterable[str] = ()
    ) -> None:
        """`outside` are notes that were kept apart from the database."""
        self._connection = connection
        self._source = source
        self._open = open_
        self._comparison = Comparison()
        self._outside = list(outside)
        self._tree = Frontier()
        self.edge = tiles.edge(connection)
        self.exact = True
        self.findings: list[Finding] = []

    def steps(self) -> Iterator[int]:
        """Go on by a tile at a time; yields how many events have been read."""
        kept = []
        for anchor in self._anchors():
            kept.append(anchor)
            yield 0
        anchors, before = Anchors(kept), 0
        self.edge = tiles.edge(self._connection)  # which has all that was signed by now
        for (position,) in self._connection.execute(STRAYS.encode()):
            self._note(Finding(position, position, INSERTED, "where no append puts an event"))
        try:
            for _, sealed in tiles.leaves(self._connection, self.edge.size):
                self._step(sealed, before, anchors)
                before = sealed[-1].position
                yield self._tree.size
        except tiles.MissingNodes as missing:
            self._note(Finding(before + 1, self.edge.position, ALTERED, str(missing)))
        told = self._comparison.finish()
        parted = anchors.findings(self.edge.size, self.edge.position)
        covered = [each for each in parted if not _explained(each, told)]
        self.findings = sorted([*told, *covered])
        self.exact = not self.findings

    def _step(self, sealed: list[Sealed], before: int, anchors: Anchors) -> None:
        records = tiles.records(self._source, before, sealed[-1].position)
        found = [_found(record) for record in records]
        self.exact &= self._comparison.chunk(sealed, found)
        for each in sealed:
            self._tree.append(each.leaf)
            if anchors.wants(self._tree.size):
                anchors.reached(self._tree.size, self._tree.root)
        if len(sealed) == tiles.WIDTH:
            self._compare_tile(sealed)

    def _compare_tile(self, sealed: list[Sealed]) -> None:
        """The tile above has this one's root; whoever edits a leaf's hash may have missed it."""
        tile = Frontier()
        for each in sealed:
            tile.append(each.leaf)
        node = (tiles.HEIGHT, self._tree.size // tiles.WIDTH - 1)
        if tiles.nodes(self._connection, [node])[node] != tile.root:
            detail = "the hashes of these events were altered"
            self._note(Finding(sealed[0].position, sealed[-1].position, ALTERED, detail))

    def _anchors(self) -> Iterator[Anchor]:
        size = 0
        while several := checkpoints.behind(self._connection, size):
            for _, note in several:
                yield from self._anchor(note, outside=False)
            size, _ = several[-1]
        for note in self._outside:
            yield from self._anchor(note, outside=True)

    def _anchor(self, note: str, *, outside: bool) -> Iterator[Anchor]:
        try:
            yield Anchor(Checkpoint.parse(self._open(note)), outside)
        except BadNote as bad:
            kind = ROLLED_BACK if outside else FORGED
            self._note(Finding(0, 0, kind, f"a checkpoint: {bad}"))

    def _note(self, finding: Finding) -> None:
        self.exact = False
        self._comparison.note(finding)


def _found(record: StoredRecord) -> Found:
    content = Content(record.stream, record.version, record.topic, record.state)
    return Found(record.position, content)


def _explained(parted: Finding, told: Iterable[Finding]) -> bool:
    """Whether something more exact was told of the same place."""
    return parted.kind == ALTERED and any(
        parted.position <= each.position and each.until <= parted.until and each.kind == ALTERED
        for each in told
        if each.detail.startswith("the hashes")
    )
