"""The tree that the seals of an export make, chunk by chunk, in whatever order they come."""

from collections.abc import Sequence

from domain.anchors import Anchors
from domain.merkle import Frontier
from domain.seals import Item, Leaf

WAITING = 64
"""Chunks that may wait for an earlier one; beyond, the tree is given up."""
HIGHEST = 62


class SealedTree:
    """Grows to a size, and is compared with checkpoints on the way."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._frontier = Frontier()
        self._waiting: dict[int, Sequence[Item]] = {}
        self._next = 0
        self._given_up = False
        self.anchors = Anchors([])

    @property
    def whole(self) -> bool:
        """Whether it has come to its size."""
        return not self._given_up and self._frontier.size == self._size

    @property
    def root(self) -> bytes:
        """The root as it is now."""
        return self._frontier.root

    def grow(self, number: int, items: Sequence[Item]) -> None:
        """Add a chunk, and those that waited for it; what doesn't fit ends it."""
        self._waiting[number] = items
        while self._next in self._waiting and not self._given_up:
            self._given_up = not self._add(self._waiting.pop(self._next))
            self._next += 1
        if self._given_up or len(self._waiting) > WAITING:
            self._given_up = True
            self._waiting.clear()

    def _add(self, items: Sequence[Item]) -> bool:
        for item in items:
            level = 0 if isinstance(item, Leaf) else min(item.level, HIGHEST)
            if item.number << level != self._frontier.size or self._frontier.size >= self._size:
                return False
            self._frontier.append(item.hash, level)
            if self.anchors.wants(self._frontier.size):
                self.anchors.reached(self._frontier.size, self._frontier.root)
        return bool(items)
