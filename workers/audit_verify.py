"""Verifies an audit export on its own: what is wrong with it, and where."""

import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain

from domain import stored
from domain.anchors import Anchors
from domain.notes import BadNote, Key, Verify, open_note
from domain.seals import CHUNK, Item, Leaf, Manifest, Seal
from domain.tampering import (
    ALTERED,
    CUT_END,
    CUT_START,
    FORGED,
    INSERTED,
    MOVED,
    Comparison,
    Finding,
    Found,
    Sealed,
)
from workers.export_checkpoints import ExportCheckpoints
from workers.export_lines import End, Line, Note, Opening, header, lines
from workers.sealed_tree import SealedTree

Tell = Callable[[int, int], object]
"""Is told how many events of how many have been read."""
MANY = 16 * CHUNK
"""Events that may stand under one seal before they are taken for strays."""
SEAL = "the seal"


@dataclass(slots=True)
class Report:
    """What was found; `unchecked` says what could not be compared.

    `unreadable` are positions at which no event can be read, in what was signed all the same; at
    most MANY are named.
    """

    manifest: Manifest | None = None
    keys: Sequence[Key] = ()
    trusted: bool = False
    events: int = 0
    checkpoints: int = 0
    findings: list[Finding] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    unreadable: list[int] = field(default_factory=list)


def verify_export(
    raws: Iterable[bytes],
    verify: Verify,
    *,
    keys: Sequence[Key] = (),
    outside: Sequence[str] = (),
    tell: Tell = lambda *_: None,
) -> Report:
    """Read an export to its end, in constant memory; raises Foreign.

    `keys` are those that the verifier trusts: without any, the file's own are taken. `outside`
    are checkpoints that were kept apart from the export.
    """
    rest = iter(raws)
    first = next(rest, b"")
    head = header(first)
    if head is None:
        return Report(findings=[_headless(chain([first], rest))])
    trusted = list(keys or head.keys)
    verification = Verification(head.manifest, trusted, verify, outside)
    verification.open_manifest(head.note)
    for line in lines(rest):
        verification.take(line)
        if verification.events % 1000 == 0:
            tell(verification.events, head.manifest.count)
    report = verification.finish()
    report.keys, report.trusted = trusted, bool(keys)
    return report


def _headless(raws: Iterable[bytes]) -> Finding:
    """Without the header there is nothing to verify by, but the place can be named."""
    for line in lines(raws):
        if isinstance(line, Found) and line.position is not None:
            detail = "the header is missing; this is the first event that is left"
            return Finding(line.position, line.position, CUT_START, detail)
    return Finding(0, 0, CUT_START, "the header is missing, and no event is left")


class Verification:
    """One export under way."""

    def __init__(
        self, manifest: Manifest, keys: Sequence[Key], verify: Verify, outside: Sequence[str]
    ) -> None:
        self._manifest = manifest
        self._keys = keys
        self._verify = verify
        self._starts = [0, *accumulate(chunk.events for chunk in manifest.chunks)]
        self._comparison = Comparison()
        self._checkpoints = ExportCheckpoints(manifest, self._text, outside)
        self._tree = SealedTree(manifest.size)
        self._seen: dict[int, None] = {}
        self._opening: Opening | None = None
        self._found: list[Found] = []
        self._ended = False
        self._findings: list[Finding] = []
        self._unreadable: list[int] = []
        self.events = 0

    def open_manifest(self, note: str) -> None:
        """Note where the manifest is not what was signed."""
        try:
            self._text(note)
        except BadNote as bad:
            first, last = self._manifest.first or 0, self._manifest.last or 0
            self._wrong(first, last, FORGED, f"the manifest: {bad}")

    def take(self, line: Line | None) -> None:
        """The next line; None is one that was torn off."""
        match line:
            case None:
                self._ended = False
            case _ if self._ended:
                at = self._manifest.last or 0
                self._wrong(at, at, INSERTED, f"{getattr(line, 'place', 'a line')}, after the end")
            case Note():
                self._checkpoints.take(line)
            case Opening():
                self._close()
                self._open(line)
            case Found():
                self.events += 1
                self._look_into(line)
                if len(self._found) < MANY:
                    self._found.append(line)
                else:
                    self._comparison.chunk([], [line], 0)
            case End() if line.export_id == self._manifest.export_id:
                self._ended = True
            case End():
                self._wrong(0, 0, INSERTED, f"{line.place}, the end of another export")

    def finish(self) -> Report:
        """What there is to say."""
        self._close()
        self._lose()
        manifest, tree = self._manifest, self._tree
        told = self._comparison.finish()
        if not self._ended and not any(each.kind == CUT_END for each in told):
            last = manifest.last or 0
            self._wrong(last, last, CUT_END, "the last line is missing")
        anchors = self._checkpoints.gather()
        parted = anchors.findings(manifest.size, manifest.position)
        if not tree.whole:
            parted = [each for each in parted if each.position > manifest.position]
        elif base64.b64encode(tree.root).decode() != manifest.root and not parted:
            self._wrong(1, manifest.position, ALTERED, "the root is not the one in the manifest")
        parted = [_within(each, self._findings) for each in parted]
        noted = self._checkpoints.findings
        findings = _joined(sorted([*self._findings, *noted, *told, *parted]))
        if not tree.whole and not findings:
            self._wrong(1, manifest.position, FORGED, "the seals do not lead to the checkpoint")
            findings = self._findings
        self._pass_over(anchors)
        return Report(
            manifest=manifest,
            events=self.events,
            checkpoints=anchors.good,
            findings=findings,
            unchecked=self._checkpoints.unchecked,
            unreadable=self._unreadable,
        )

    def _look_into(self, found: Found) -> None:
        """A history can be what was signed, and hold something that is no event."""
        if found.position is None or found.content is None or len(self._unreadable) == MANY:
            return
        if not stored.readable(found.content.state):
            self._unreadable.append(found.position)

    def _open(self, opening: Opening) -> None:
        self._tree.anchors = self._checkpoints.gather()
        self._opening = opening
        number = opening.number
        if not 0 <= number < len(self._manifest.chunks):
            self._wrong(0, 0, INSERTED, f"{opening.place}: a chunk that the manifest does not know")
        elif number in self._seen:
            first, last, _ = self._manifest.chunks[number]
            self._wrong(first, last, INSERTED, f"{opening.place}: their chunk stands twice")
        else:
            if number < max(self._seen, default=0):
                first, last, _ = self._manifest.chunks[number]
                self._wrong(first, last, MOVED, f"{opening.place}: their chunk stands too late")
            self._seen[number] = None
            return
        self._opening = None

    def _close(self) -> None:
        """Compare the events that stand under a seal."""
        found, self._found = self._found, []
        opening, self._opening = self._opening, None
        if opening is None:
            self._comparison.chunk([], found, 0)
            return
        number = opening.number
        start = self._starts[number]
        seal = self._read_seal(opening)
        if seal is None:
            count = self._manifest.chunks[number].events
            self._comparison.chunk([], [], start + count)
            self._tree.grow(number, self._rebuilt(number, [each.leaf for each in found]))
            return
        sealed = [Sealed(leaf.position, leaf.hash) for leaf in seal.leaves]
        self._comparison.chunk(sealed, found, start)
        self._tree.grow(number, seal.items)

    def _read_seal(self, opening: Opening) -> Seal | None:
        """The seal, where it is genuine and of this chunk."""
        told = self._manifest.chunks[opening.number]
        try:
            seal = Seal.parse(self._text(opening.seal))
            if (seal.export_id, seal.chunk) != (self._manifest.export_id, opening.number):
                raise BadNote("it belongs somewhere else")
        except BadNote as bad:
            self._wrong(told.first, told.last, FORGED, f"{SEAL} on {opening.place}: {bad}")
            return None
        return seal

    def _rebuilt(self, number: int, leaves: Sequence[bytes | None]) -> Sequence[Item]:
        """What the seal of an export of everything must have held; empty where it can't be."""
        known = [leaf for leaf in leaves if leaf is not None]
        if len(known) != self._manifest.chunks[number].events or self._starts[-1] != (
            self._manifest.size
        ):
            return ()
        start = self._starts[number]
        return [Leaf(start + at, 0, leaf) for at, leaf in enumerate(known)]

    def _lose(self) -> None:
        """Chunks whose seals are not there."""
        self._tree.anchors = self._checkpoints.gather()
        for number, chunk in enumerate(self._manifest.chunks):
            if number not in self._seen and chunk.events:
                leaves = self._comparison.lose(self._starts[number], *chunk)
                if leaves:
                    self._tree.grow(number, self._rebuilt(number, leaves))

    def _text(self, note: str) -> str:
        return open_note(note, self._keys, self._verify)

    def _pass_over(self, anchors: Anchors) -> None:
        for anchor in anchors.unreached:
            size = anchor.checkpoint.size
            if anchor.outside and self._tree.whole:
                what = f"the checkpoint of {size} events falls among events that are not exported"
                self._checkpoints.unchecked.append(f"{what}: ask for a full export")

    def _wrong(self, position: int, until: int, kind: str, detail: str) -> None:
        self._findings.append(Finding(position, until, kind, detail))


def _within(parted: Finding, forged: Iterable[Finding]) -> Finding:
    """Genuine seals vouch for their events: what is altered stands under a seal that is none."""
    for each in forged:
        if each.kind == FORGED and each.detail.startswith(SEAL) and parted.kind == ALTERED:
            first, last = max(parted.position, each.position), min(parted.until, each.until)
            if first <= last:
                return Finding(first, last, ALTERED, parted.detail)
    return parted


def _joined(findings: Iterable[Finding]) -> list[Finding]:
    """Seals that fail one after the other are one finding."""
    joined: list[Finding] = []
    for each in findings:
        before = joined[-1] if joined else None
        seals = each.kind == FORGED and each.detail.startswith(SEAL)
        if before and seals and before.kind == FORGED and before.detail.startswith(SEAL):
            joined[-1] = Finding(before.position, each.until, FORGED, f"{SEAL}s: {_why(each)}")
        else:
            joined.append(each)
    return joined


def _why(finding: Finding) -> str:
    return finding.detail.partition(": ")[2]
