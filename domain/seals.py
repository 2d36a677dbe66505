"""What an audit export is signed with: its manifest, and a seal over each chunk of its events.

A seal lists, from left to right, what the tree is made of: the hashes of the chunk's events, and
between them the nodes that stand for events that were not asked for. All seals together lead to
the checkpoint's root; an export of everything needs no such nodes.
"""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

from domain.notes import BadNote, decoded

FORMAT = "twinlock-audit-export-1"
FAMILY = "twinlock-audit-export-"
TITLE = "twinlock audit-export seal 1"
CHUNK = 256
"""Events under one seal."""


class Leaf(NamedTuple):
    """An event: its number in the tree, its position, and its hash."""

    number: int
    position: int
    hash: bytes


class Subtree(NamedTuple):
    """A node in place of the events under it."""

    level: int
    number: int
    hash: bytes


Item = Leaf | Subtree


@dataclass(frozen=True, slots=True)
class Seal:
    """One chunk of one export."""

    export_id: str
    chunk: int
    items: Sequence[Item]

    @property
    def leaves(self) -> list[Leaf]:
        """The events alone."""
        return [item for item in self.items if isinstance(item, Leaf)]

    @property
    def text(self) -> str:
        """The text that is signed."""
        head = f"{TITLE}\n{self.export_id}\n{self.chunk}\n"
        return head + "".join(f"{_line(item)}\n" for item in self.items)

    @classmethod
    def parse(cls, text: str) -> "Seal":
        """Read it; raises BadNote."""
        try:
            title, export_id, chunk, *lines, end = text.split("\n")
            found = cls(export_id, int(chunk), tuple(_items(lines)))
        except ValueError as error:
            raise BadNote("it is no seal") from error
        if title != TITLE or end or found.text != text:
            raise BadNote("it is no seal")
        return found


class Chunk(NamedTuple):
    """What the manifest says of a chunk: its first and last position, and how many events."""

    first: int
    last: int
    events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What an export says of itself; `size`, `position` and `root` are the checkpoint's.

    `kept` are the hashes of the checkpoints in it that were kept outside of the database.
    """

    export_id: str
    origin: str
    made_at: str
    filter: Mapping[str, str]
    count: int
    first: int | None
    last: int | None
    size: int
    position: int
    root: str
    checkpoints: Sequence[int]
    kept: Sequence[str]
    chunks: Sequence[Chunk]

    @property
    def at(self) -> datetime:
        """When it was begun, before its own checkpoint was signed."""
        return datetime.fromisoformat(self.made_at)

    @property
    def text(self) -> str:
        """The text that is signed: JSON without spaces, its names in order."""
        said = json.dumps(asdict(self), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return f"{said}\n"

    @classmethod
    def read(cls, said: Any) -> "Manifest":
        """Out of the header's JSON; raises BadNote."""
        try:
            chunks = tuple(Chunk(*each) for each in said["chunks"])
            found = cls(**{**said, "chunks": chunks})
            numbers = [found.count, found.size, found.position, *found.checkpoints]
            numbers += [number for number in (found.first, found.last) if number is not None]
            numbers += [number for chunk in chunks for number in chunk]
            wrong = any(type(number) is not int or not 0 <= number < 1 << 63 for number in numbers)
            texts = [found.export_id, found.origin, *found.kept, *found.filter.values()]
            wrong |= any(not isinstance(text, str) for text in texts)
            wrong |= found.at.tzinfo is None or len(decoded(found.root)) != 32
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise BadNote("it is no manifest") from error
        if wrong or sum(chunk.events for chunk in chunks) != found.count:
            raise BadNote("it is no manifest")
        return found


def kept_as(note: str) -> str:
    """What the manifest lists a note as that was kept outside."""
    return sha256(note.encode()).hexdigest()


def _line(item: Item) -> str:
    kind = "leaf" if isinstance(item, Leaf) else "node"
    return f"{kind} {item[0]} {item[1]} {base64.b64encode(item.hash).decode()}"


def _items(lines: Sequence[str]) -> Iterator[Item]:
    for line in lines:
        kind, one, other, hashed = line.split(" ")
        found = decoded(hashed)
        if kind not in ("leaf", "node") or len(found) != 32 or int(one) < 0 or int(other) < 0:
            raise BadNote("it is no seal")
        make = Leaf if kind == "leaf" else Subtree
        yield make(int(one), int(other), found)
