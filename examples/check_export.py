"""Verifies an audit export with nothing but Python's standard library, after docs/proof.md.

    python examples/check_export.py FILE KEYS

KEYS are the lines of `twinlock audit key` that you were given: the notary's key, and those that it
had before. It says whether the export is exactly what was signed; `twinlock audit verify` also says
what is wrong with one that is not.
"""

import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
BASE_Y = 4 * pow(5, -1, P) % P


class NotProven(Exception):
    """The export is not what was signed."""


def must(holds: bool, otherwise: str) -> None:
    if not holds:
        raise NotProven(otherwise)


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def point(encoded: bytes) -> tuple[int, int]:
    """RFC 8032, 5.1.3."""
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    must(x * x % P == square, "a key or signature is no point of the curve")
    return (P - x if x & 1 != sign else x), y


def times(factor: int, one: tuple[int, int]) -> tuple[int, int]:
    """A multiple of a point, in extended coordinates."""
    total, step = (0, 1, 1, 0), (*one, 1, one[0] * one[1] % P)
    while factor:
        if factor & 1:
            total = plus(total, step)
        step, factor = plus(step, step), factor >> 1
    inverse = pow(total[2], -1, P)
    return total[0] * inverse % P, total[1] * inverse % P


def plus(p: tuple[int, ...], q: tuple[int, ...]) -> tuple[int, int, int, int]:
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def signed(public: bytes, signature: bytes, message: bytes) -> bool:
    """Ed25519 (RFC 8032, 5.1.7)."""
    s = int.from_bytes(signature[32:], "little")
    hashed = hashlib.sha512(signature[:32] + public + message).digest()
    k = int.from_bytes(hashed, "little") % ORDER
    left, right = times(s, point(BASE_Y.to_bytes(32, "little"))), times(k, point(public))
    x, y = point(signature[:32])
    both = plus((x, y, 1, x * y % P), (*right, 1, right[0] * right[1] % P))
    inverse = pow(both[2], -1, P)
    return s < ORDER and left == (both[0] * inverse % P, both[1] * inverse % P)


def opened(note: str, keys: str) -> list[str]:
    """The lines of a signed note's text."""
    text, _, signature = note.rpartition("\n\n")
    line, encoded = signature.rstrip("\n").rsplit(" ", 1)
    raw = base64.b64decode(encoded)
    for key in keys.split():
        name, _, rest = key.partition("+")
        public = base64.b64decode(rest.partition("+")[2])[1:]
        hashed = sha256(name.encode(), b"\n\x01", public)[:4]
        if (line, raw[:4]) == (f"— {name}", hashed):
            must(signed(public, raw[4:], f"{text}\n".encode()), "a signature is wrong")
            return text.split("\n")
    raise NotProven("signed by somebody else, or with another key")


def leaf(event: dict[str, Any]) -> bytes:
    """The hash of an event."""
    encoded = event.get("state_base64")
    state = event["state"].encode() if encoded is None else base64.b64decode(encoded, validate=True)
    return sha256(
        b"\0\1",
        event["position"].to_bytes(8, "big"),
        sized(event["stream"].encode()),
        event["version"].to_bytes(8, "big"),
        sized(event["topic"].encode()),
        sized(state),
    )


def sized(raw: bytes) -> bytes:
    return len(raw).to_bytes(4, "big") + raw


class Tree:
    """Complete subtrees from left to right, as (level, hash)."""

    def __init__(self) -> None:
        self.size, self.peaks = 0, list[tuple[int, bytes]]()

    def add(self, hashed: bytes, level: int = 0) -> None:
        self.size += 1 << level
        while self.peaks and self.peaks[-1][0] == level:
            hashed, level = sha256(b"\1", self.peaks.pop()[1], hashed), level + 1
        self.peaks.append((level, hashed))

    def root(self) -> str:
        hashed = self.peaks[-1][1]
        for _, left in reversed(self.peaks[:-1]):
            hashed = sha256(b"\1", left, hashed)
        return base64.b64encode(hashed).decode()


class Check:
    """Reads an export line by line."""

    def __init__(self, head: dict[str, Any], keys: str) -> None:
        self.manifest, self.keys = head["manifest"], keys
        self.tree, self.count, self.ended = Tree(), 0, False
        self.expected: list[tuple[int, bytes]] = []
        self.roots: dict[int, str] = {}
        self.sizes, self.kept = list[int](), list[str]()
        must(set(head) == {"format", "manifest", "signature", "keys"}, "the header is another one")
        told = json.dumps(self.manifest, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        opened(f"{told}\n\n{head['signature']}\n", keys)

    def take(self, said: dict[str, Any]) -> None:
        must(not self.ended, "something stands behind the end")
        match sorted(said):
            case ["position", "state" | "state_base64", "stream", "topic", "version"]:
                self.event(said)
            case ["chunk", "seal"]:
                self.seal(opened(said["seal"], self.keys), said["chunk"])
            case ["checkpoint"]:
                self.sizes.append(self.checkpoint(said["checkpoint"]))
            case ["kept"]:
                self.kept.append(sha256(said["kept"].encode()).hex())
                self.checkpoint(said["kept"])
            case _:
                self.ended = said == {"end": self.manifest["export_id"]}
                must(self.ended, "a line that is none of this export")

    def checkpoint(self, note: str) -> int:
        lines = opened(note, self.keys)
        size = int(lines[1])
        must(lines[0] == self.manifest["origin"], "a checkpoint of another history")
        must(self.tree.size == 0, "a checkpoint stands behind the first seal")
        must(size <= self.manifest["size"], "rolled back behind a checkpoint")
        must(self.roots.setdefault(size, lines[2]) == lines[2], "two checkpoints differ")
        return size

    def seal(self, lines: list[str], chunk: int) -> None:
        must(not self.expected, "events are missing")
        must(lines[1:3] == [self.manifest["export_id"], str(chunk)], "a seal of something else")
        for item in lines[3:]:
            kind, one, other, encoded = item.split(" ")
            hashed = base64.b64decode(encoded)
            level, number = (0, int(one)) if kind == "leaf" else (int(one), int(other))
            must(number << level == self.tree.size, "the seals do not make a tree")
            self.tree.add(hashed, level)
            root = self.tree.root()
            must(self.roots.get(self.tree.size, root) == root, "not what a checkpoint has signed")
            if kind == "leaf":
                self.expected.append((int(other), hashed))

    def event(self, said: dict[str, Any]) -> None:
        wanted = self.expected.pop(0) if self.expected else None
        position = said["position"]
        must(wanted == (position, leaf(said)), f"event {position} is not what was sealed here")
        self.count += 1

    def finish(self) -> str:
        manifest, tree = self.manifest, self.tree
        must(self.ended and not self.expected, "the end is missing")
        listed = (manifest["checkpoints"], manifest["kept"])
        must((self.sizes, self.kept) == listed, "the checkpoints are not those of the manifest")
        must((self.count, tree.size) == (manifest["count"], manifest["size"]), "events are missing")
        must(tree.root() == manifest["root"] == self.roots[tree.size], "the root is another one")
        return f"{self.count} events are what was signed, under a checkpoint of {tree.size} events"


def plain(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which each name stands once; true and 1.0 would pass for 1."""
    must(len(dict(pairs)) == len(pairs), "a name stands twice on a line")
    must(not any(isinstance(each, bool | float) for _, each in pairs), "no whole number")
    return dict(pairs)


def check(path: Path, keys: str) -> str:
    """What was verified; raises NotProven."""
    with path.open(encoding="utf-8", newline="\n") as file:
        said = (json.loads(line, object_pairs_hook=plain) for line in file)
        one = Check(next(said, {}), keys)
        for each in said:
            one.take(each)
    return one.finish()


if __name__ == "__main__":
    try:
        print(check(Path(sys.argv[1]), sys.argv[2]))
    except (NotProven, ValueError, LookupError, TypeError, AttributeError, OverflowError) as wrong:
        sys.exit(f"NOT PROVEN: {wrong}")
