"""Writes a part of the history into one file that can be verified without us."""

import base64
import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice, pairwise
from typing import IO, Any

from psycopg import Connection

from domain.merkle import Node, blocks
from domain.notes import Checkpoint, Key
from domain.seals import CHUNK, FORMAT, Chunk, Item, Leaf, Manifest, Seal, Subtree, kept_as
from domain.tampering import Sealed
from projections.journal import COLUMNS, EVENTS
from workers import tiles
from workers.notary import Signer
from workers.ports import Events, StoredRecord

PICK = f"""
SELECT {COLUMNS} FROM {EVENTS}
WHERE notification_id = ANY(%s) ORDER BY notification_id
"""  # noqa: S608 - constants
Tell = Callable[[int], object]
"""Is told how many events have been written."""


class NotInTheHistory(Exception):
    """The read model lists an event that the tree does not have."""


class Export:
    """One export, up to a checkpoint: the body is written first, then the header is known."""

    def __init__(
        self,
        connection: Connection[Any],
        store: Events,
        signer: Signer,
        checkpoint: Checkpoint,
        export_id: str,
    ) -> None:
        self._connection = connection
        self._store = store
        self._signer = signer
        self._checkpoint = checkpoint
        self._id = export_id
        self._chunks: list[Chunk] = []
        self._sizes: list[int] = []
        self._kept: list[str] = []
        self._bounds: list[int] = []
        self.differing: list[int] = []
        """Positions of events that are not what was hashed when they were appended."""

    @property
    def count(self) -> int:
        """How many events it holds."""
        return sum(chunk.events for chunk in self._chunks)

    @property
    def first(self) -> int | None:
        """The position of the first of them."""
        return self._chunks[0].first if self.count else None

    @property
    def last(self) -> int | None:
        """The position of the last of them."""
        return self._chunks[-1].last if self.count else None

    def write_body(
        self,
        file: IO[bytes],
        notes: Sequence[str],
        kept: Sequence[str],
        positions: Iterable[int] | None,
        tell: Tell,
    ) -> None:
        """Write everything behind the header; raises MissingNodes or NotInTheHistory.

        `notes` are checkpoints up to ours, `kept` those that were kept outside; `positions` rise,
        and None stands for all. What the tree says is sealed, and what the store says is written:
        where they differ, whoever verifies is told.
        """
        self._sizes = [Checkpoint.parse(self._signer.open(note)).size for note in notes]
        self._kept = [kept_as(note) for note in kept]
        outside = (Checkpoint.parse(self._signer.open(note)).size for note in kept)
        self._bounds = sorted({*self._sizes, *outside})
        for name, several in (("checkpoint", notes), ("kept", kept)):
            for note in several:
                file.write(line({name: note}))
        chunks = self._whole() if positions is None else self._picked(positions)
        for number, (items, records) in enumerate(chunks):
            self._write_chunk(file, number, items, records)
            tell(self.count)
        file.write(line({"end": self._id}))

    def header(self, wanted: Mapping[str, str], made_at: str, keys: Sequence[Key]) -> bytes:
        """The first line: the manifest with its signature, and our keys for comparison."""
        manifest = Manifest(
            export_id=self._id,
            origin=self._checkpoint.origin,
            made_at=made_at,
            filter=dict(wanted),
            count=self.count,
            first=self.first,
            last=self.last,
            size=self._checkpoint.size,
            position=self._checkpoint.position,
            root=base64.b64encode(self._checkpoint.root).decode(),
            checkpoints=self._sizes,
            kept=self._kept,
            chunks=self._chunks,
        )
        signature = self._signer.sign(manifest.text).rpartition("\n\n")[2].rstrip("\n")
        said = json.loads(manifest.text)
        return line(
            {
                "format": FORMAT,
                "manifest": said,
                "signature": signature,
                "keys": [str(key) for key in keys],
            }
        )

    def _write_chunk(
        self, file: IO[bytes], number: int, items: list[Item], records: list[StoredRecord]
    ) -> None:
        seal = Seal(self._id, number, items)
        leaves = seal.leaves
        first, last = (leaves[0].position, leaves[-1].position) if leaves else (0, 0)
        self._chunks.append(Chunk(first, last, len(leaves)))
        file.write(line({"chunk": number, "seal": self._signer.sign(seal.text)}))
        for record in records:
            file.write(event_line(record))
        here = {record.position: tiles.hashed(record) for record in records}
        hashed = {leaf.position: leaf.hash for leaf in leaves}
        if here != hashed and len(self.differing) < CHUNK:
            self.differing += sorted(p for p, _ in here.items() ^ hashed.items())[:CHUNK]

    def _whole(self) -> Iterator[tuple[list[Item], list[StoredRecord]]]:
        before = 0
        for number, sealed in tiles.leaves(self._connection, self._checkpoint.size):
            items: list[Item] = [
                Leaf(number + at, each.position, each.leaf) for at, each in enumerate(sealed)
            ]
            until = sealed[-1].position
            yield items, list(tiles.records(self._store, before, until))
            before = until

    def _picked(self, positions: Iterable[int]) -> Iterator[tuple[list[Item], list[StoredRecord]]]:
        place, remaining = 0, iter(positions)
        finder = _Finder(self._connection, self._checkpoint.size)
        wanted = list(islice(remaining, CHUNK))
        while True:
            after = list(islice(remaining, CHUNK))
            leaves = [finder.leaf(position) for position in wanted]
            numbers = [leaf.number for leaf in leaves]
            ends = [*numbers, self._checkpoint.size] if not after else numbers
            gaps = [list(self._gap(begin, end)) for begin, end in _gaps(place, ends)]
            nodes = tiles.nodes(self._connection, [node for gap in gaps for node in gap])
            items: list[Item] = []
            for number, gap in enumerate(gaps):
                items += [Subtree(*node, nodes[node]) for node in gap]
                items += leaves[number : number + 1]
            yield items, self._pick(wanted)
            if not after:
                return
            place, wanted = numbers[-1] + 1, after

    def _gap(self, begin: int, end: int) -> Iterator[Node]:
        """The nodes between two events, parted where a checkpoint stands."""
        here = bisect_right(self._bounds, begin)
        bounds = [each for each in islice(self._bounds, here, None) if each < end]
        for one, other in pairwise([begin, *bounds, end]):
            yield from blocks(one, other)

    def _pick(self, positions: list[int]) -> list[StoredRecord]:
        rows = self._connection.execute(PICK.encode(), (positions,))
        return [StoredRecord(*row) for row in rows]


class _Finder:
    """Finds events in the tree, a tile at a time."""

    def __init__(self, connection: Connection[Any], size: int) -> None:
        self._connection = connection
        self._size = size
        self._known: dict[int, tuple[int, Sealed]] = {}

    def leaf(self, position: int) -> Leaf:
        """The leaf at a position; raises NotInTheHistory."""
        if position not in self._known:
            number = tiles.number_at(self._connection, position)
            if number is None or number >= self._size:
                raise NotInTheHistory(
                    f"the audit trail lists position {position}, which the history does not have"
                )
            begin, sealed = next(tiles.leaves(self._connection, self._size, number))
            self._known = {each.position: (begin + at, each) for at, each in enumerate(sealed)}
        number, found = self._known[position]
        return Leaf(number, position, found.leaf)


def _gaps(begin: int, ends: Sequence[int]) -> Iterator[tuple[int, int]]:
    for end in ends:
        yield begin, end
        begin = end + 1


def event_line(record: StoredRecord) -> bytes:
    """An event as exports hold it; `state` is its JSON as stored, as text."""
    said: dict[str, Any] = {
        "position": record.position,
        "stream": record.stream,
        "version": record.version,
        "topic": record.topic,
    }
    try:
        return line({**said, "state": record.state.decode()})
    except UnicodeDecodeError:
        return line({**said, "state_base64": base64.b64encode(record.state).decode()})


def line(said: Mapping[str, Any]) -> bytes:
    """One line of JSON."""
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
