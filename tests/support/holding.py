"""Whether a proof holds, as RFC 9162 tells whoever is given one to verify it."""

from collections.abc import Sequence

from domain.merkle import EMPTY, join


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


def _up_to_a_right_child(first: int, last: int) -> tuple[int, int]:
    while not first & 1 and first:
        first, last = first >> 1, last >> 1
    return first, last
