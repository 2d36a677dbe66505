"""The checkpoints that an export is compared with: those that it lists, and the verifier's own."""

from collections.abc import Callable, Iterator, Sequence

from domain.anchors import Anchor, Anchors
from domain.notes import BadNote, Checkpoint
from domain.seals import Manifest, kept_as
from domain.tampering import FORGED, MOVED, Finding
from workers.export_lines import Note

Open = Callable[[str], str]
"""The text of a signed note; raises BadNote."""


class ExportCheckpoints:
    """Takes those of the file, which stand in front of the first seal, and then gathers all."""

    def __init__(self, manifest: Manifest, open_: Open, outside: Sequence[str]) -> None:
        """`outside` are the verifier's own."""
        self._manifest = manifest
        self._open = open_
        self._outside = outside
        self._listed: dict[bool, dict[int | str, None]] = {
            False: dict.fromkeys(manifest.checkpoints),
            True: dict.fromkeys(manifest.kept),
        }
        self._refused = {False: 0, True: 0}
        self._known: list[Anchor] = []
        self.gathered: Anchors | None = None
        self.findings: list[Finding] = []
        self.unchecked: list[str] = []

    def take(self, note: Note) -> None:
        """One of the file, which the manifest has to list."""
        if self.gathered is not None:
            self._wrong(MOVED, f"the checkpoint on {note.place} is behind the first seal")
            return
        try:
            checkpoint = self._read(note.text)
            name = kept_as(note.text) if note.outside else checkpoint.size
            if name not in self._listed[note.outside]:
                raise BadNote("the manifest does not list it, or it stands twice")
            del self._listed[note.outside][name]
            self._known.append(Anchor(checkpoint, note.outside))
        except BadNote as bad:
            self._refused[note.outside] += 1
            self._wrong(FORGED, f"the checkpoint on {note.place}: {bad}")

    def gather(self) -> Anchors:
        """All that the tree is compared with as it grows."""
        if self.gathered is None:
            self._miss()
            given = list(self._given())
            newer = [each for each in given if self._is_newer(each)]
            for each in newer[-1:]:
                what = f"the checkpoint of {each.size} events is newer than the export"
                self.unchecked.append(f"{what}: ask for a consistency proof, or a newer export")
            own = [Anchor(each, True) for each in given if each not in newer]
            self.gathered = Anchors([*self._known, *own])
        return self.gathered

    def _miss(self) -> None:
        """What is listed and is not there; one that was refused is not told twice."""
        for outside, listed in self._listed.items():
            for name in list(listed)[self._refused[outside] :]:
                which = "that was kept outside" if outside else f"of {name} events"
                self._wrong(FORGED, f"the checkpoint {which} is missing")

    def _given(self) -> Iterator[Checkpoint]:
        for number, note in enumerate(self._outside, 1):
            try:
                yield self._read(note)
            except BadNote as bad:
                place = f"place {number} of those kept outside"
                self._wrong(FORGED, f"the checkpoint on {place}: {bad}")

    def _read(self, note: str) -> Checkpoint:
        try:
            checkpoint = Checkpoint.parse(self._open(note))
        except OverflowError as error:
            raise BadNote("its time is none") from error
        if checkpoint.origin != self._manifest.origin:
            raise BadNote(f"it is of {checkpoint.origin}")
        return checkpoint

    def _is_newer(self, checkpoint: Checkpoint) -> bool:
        """Of the verifier's own alone: those in the file were there before it was begun."""
        ahead = checkpoint.size > self._manifest.size
        return ahead and checkpoint.made_at >= self._manifest.at

    def _wrong(self, kind: str, detail: str) -> None:
        self.findings.append(Finding(0, 0, kind, detail))
