"""RFC 9162, section 2.1, word for word and by recursion: what our own tree is compared with."""

import hashlib
from collections.abc import Sequence


def hash_(data: bytes) -> bytes:
    """SHA-256."""
    return hashlib.sha256(data).digest()


def split(n: int) -> int:
    """The largest power of two smaller than n."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def mth(d: Sequence[bytes]) -> bytes:
    """MTH(D_n), 2.1.1."""
    if not d:
        return hash_(b"")
    if len(d) == 1:
        return hash_(b"\x00" + d[0])
    k = split(len(d))
    return hash_(b"\x01" + mth(d[:k]) + mth(d[k:]))


def path(m: int, d: Sequence[bytes]) -> list[bytes]:
    """PATH(m, D_n), 2.1.3.1."""
    if len(d) == 1:
        return []
    k = split(len(d))
    if m < k:
        return [*path(m, d[:k]), mth(d[k:])]
    return [*path(m - k, d[k:]), mth(d[:k])]


def proof(m: int, d: Sequence[bytes]) -> list[bytes]:
    """PROOF(m, D_n), 2.1.4.1."""
    return _subproof(m, d, True)


def _subproof(m: int, d: Sequence[bytes], b: bool) -> list[bytes]:
    if m == len(d):
        return [] if b else [mth(d)]
    k = split(len(d))
    if m <= k:
        return [*_subproof(m, d[:k], b), mth(d[k:])]
    return [*_subproof(m - k, d[k:], False), mth(d[:k])]


def root_from_path(leaf: bytes, m: int, n: int, steps: Sequence[bytes]) -> bytes:
    """The root that an inclusion path leads to: the recursion of PATH, walked backwards."""
    if n == 1:
        assert not steps
        return leaf
    k, last = split(n), steps[-1]
    if m < k:
        return hash_(b"\x01" + root_from_path(leaf, m, k, steps[:-1]) + last)
    return hash_(b"\x01" + last + root_from_path(leaf, m - k, n - k, steps[:-1]))


def roots_from_proof(m: int, n: int, old: bytes, steps: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Both roots that a consistency proof leads to: the recursion of SUBPROOF, backwards."""
    return _roots(m, n, old, list(steps), True)


def _roots(m: int, n: int, old: bytes, steps: list[bytes], b: bool) -> tuple[bytes, bytes]:
    if m == n:
        known = old if b else steps[0]
        return known, known
    k, last = split(n), steps[-1]
    if m <= k:
        was, now = _roots(m, k, old, steps[:-1], b)
        return was, hash_(b"\x01" + now + last)
    was, now = _roots(m - k, n - k, old, steps[:-1], False)
    return hash_(b"\x01" + last + was), hash_(b"\x01" + last + now)
