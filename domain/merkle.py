"""The Merkle tree of RFC 9162, section 2.1: roots, inclusion proofs and consistency proofs.

A span is a half-open range of leaves. A node is a complete subtree: its level and, counted from
the left, its number on that level; nodes never change once they are there.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256

Span = tuple[int, int]
Node = tuple[int, int]
Read = Callable[[Iterable[Node]], Mapping[Node, bytes]]
"""Looks nodes up, all at once."""
EMPTY = sha256(b"").digest()


def leaf(data: bytes) -> bytes:
    """The hash of a leaf."""
    return sha256(b"\0" + data).digest()


def join(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return sha256(b"\1" + left + right).digest()


def blocks(begin: int, end: int) -> Iterator[Node]:
    """The fewest nodes that cover a span, from left to right."""
    while begin < end:
        level = (end - begin).bit_length() - 1
        if begin:
            level = min(level, (begin & -begin).bit_length() - 1)
        yield level, begin >> level
        begin += 1 << level


def fold(hashes: Sequence[bytes]) -> bytes:
    """The root over the blocks of a span that begins where a subtree begins."""
    if not hashes:
        return EMPTY
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = join(left, root)
    return root


def inclusion(index: int, size: int) -> list[Span]:
    """The spans whose roots prove that a leaf is in a tree; raises ValueError outside of it."""
    if not 0 <= index < size:
        raise ValueError("the leaf is not in the tree")
    path: list[Span] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = _middle(begin, end)
        if index < middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((begin, middle))
            begin = middle
    return path[::-1]


def consistency(old: int, size: int) -> list[Span]:
    """The spans whose roots prove that a tree grew out of a smaller one; raises ValueError."""
    if not 0 < old <= size:
        raise ValueError("the smaller tree is none of this one's")
    path: list[Span] = []
    begin, end = 0, size
    while old != end:
        middle = _middle(begin, end)
        if old <= middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((begin, middle))
            begin = middle
    return ([] if begin == 0 else [(begin, end)]) + path[::-1]


def hashes_of(spans: Sequence[Span], read: Read) -> list[bytes]:
    """The roots of spans, out of nodes that are read in one go."""
    found = read({node for span in spans for node in blocks(*span)})
    return [fold([found[node] for node in blocks(*span)]) for span in spans]


class Frontier:
    """The right edge of a growing tree: the roots of its blocks, and how many leaves they hold."""

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        """Go on at a size, with the hashes of `blocks(0, size)`."""
        self.size = size
        levels = [level for level, _ in blocks(0, size)]
        self._peaks = list(zip(levels, hashes, strict=True))

    @property
    def root(self) -> bytes:
        """The root of the tree as it is now."""
        return fold([hashed for _, hashed in self._peaks])

    def append(self, hashed: bytes, level: int = 0) -> list[tuple[int, bytes]]:
        """Add a leaf's hash, or a whole subtree's; answers (level, hash) of the nodes it made.

        Raises ValueError where a subtree of that level can't begin.
        """
        if self.size & ((1 << level) - 1):
            raise ValueError("no such subtree begins here")
        self.size += 1 << level
        made = [(level, hashed)]
        while self._peaks and self._peaks[-1][0] == level:
            hashed = join(self._peaks.pop()[1], hashed)
            level += 1
            made.append((level, hashed))
        self._peaks.append((level, hashed))
        return made


def _middle(begin: int, end: int) -> int:
    """Where a span is split: the left part is the greatest power of two that is less."""
    return begin + (1 << ((end - begin - 1).bit_length() - 1))
