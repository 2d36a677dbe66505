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


def proves_inclusion(
    hashed: bytes, index: int, size: int, path: Sequence[bytes], root: bytes
) -> bool:
    """Whether the path leads from the leaf's hash to the root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    first, last, result = index, size - 1, hashed
    for step in path:
        if last == 0:
            return False
        if first & 1 or first == last:
            result = join(step, result)
            first, last = _up_to_a_right_child(first, last)
        else:
            result = join(result, step)
        first, last = first >> 1, last >> 1
    return last == 0 and result == root


def proves_consistency(
    old: int, size: int, old_root: bytes, root: bytes, path: Sequence[bytes]
) -> bool:
    """Whether the path leads from the smaller tree's root to the root (RFC 9162, 2.1.4.2)."""
    if old == size or old == 0:
        return not path and (old_root == root if old else old_root == EMPTY)
    if not 0 < old < size or not path:
        return False
    start, *steps = path if old & (old - 1) else (old_root, *path)
    first, last = old - 1, size - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    was = now = start
    for step in steps:
        if last == 0:
            return False
        if first & 1 or first == last:
            was, now = join(step, was), join(step, now)
            first, last = _up_to_a_right_child(first, last)
        else:
            now = join(now, step)
        first, last = first >> 1, last >> 1
    return last == 0 and was == old_root and now == root


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


def _up_to_a_right_child(first: int, last: int) -> tuple[int, int]:
    while not first & 1 and first:
        first, last = first >> 1, last >> 1
    return first, last
