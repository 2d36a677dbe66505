"""Checkpoints as fixed points of a history: which of them it passes through, and which not."""

from collections.abc import Iterable
from dataclasses import dataclass

from domain.merkle import EMPTY
from domain.notes import Checkpoint
from domain.tampering import ALTERED, ROLLED_BACK, Finding


@dataclass(frozen=True, slots=True)
class Anchor:
    """A checkpoint; `outside` is one that was kept apart from the history."""

    checkpoint: Checkpoint
    outside: bool = False


class Anchors:
    """Compares roots with checkpoints while a tree grows, and tells where they part."""

    def __init__(self, anchors: Iterable[Anchor]) -> None:
        """Sort them by size; an empty history is a checkpoint that everybody knows."""
        self._by_size: dict[int, list[Anchor]] = {}
        for anchor in sorted(anchors, key=lambda each: each.checkpoint.size):
            self._by_size.setdefault(anchor.checkpoint.size, []).append(anchor)
        self._broken: list[tuple[Anchor, int]] = []
        self._good_position = 0
        self.good = 0
        self.unreached: list[Anchor] = []
        self.reached(0, EMPTY)

    def wants(self, size: int) -> bool:
        """Whether there is a checkpoint of this size."""
        return size in self._by_size

    def reached(self, size: int, root: bytes) -> None:
        """The tree has this root at this size."""
        for anchor in self._by_size.pop(size, ()):
            if anchor.checkpoint.root == root:
                self._good_position = anchor.checkpoint.position
                self.good += 1
            else:
                self._broken.append((anchor, self._good_position))

    def findings(self, size: int, position: int) -> list[Finding]:
        """What the history of this size, which ends at a position, contradicts."""
        ahead: list[Anchor] = []
        found: list[Finding] = []
        for at, anchors in self._by_size.items():
            (ahead if at > size else self.unreached).extend(anchors)
        for anchor in ahead[-1:]:
            signed = anchor.checkpoint
            detail = f"the checkpoint of {signed.size} events goes on beyond the last of {size}"
            found.append(
                Finding(position + 1, max(signed.position, position + 1), ROLLED_BACK, detail)
            )
        return [*found, *self._parted()]

    def _parted(self) -> list[Finding]:
        """Only where it parts first: every later checkpoint has another root as well."""
        inside = [each for each in self._broken if not each[0].outside]
        for anchor, good in (inside or self._broken)[:1]:
            signed = anchor.checkpoint
            kind = ROLLED_BACK if anchor.outside else ALTERED
            detail = f"not the history that the checkpoint of {signed.size} events has signed"
            return [Finding(good + 1, max(signed.position, good + 1), kind, detail)]
        return []
