"""The tree over the stored events, kept in tiles of 256 hashes as C2SP tlog-tiles lays them out.

A tile of level L holds nodes of the tree's level 8L; a proof reads a few tiles, however long the
history. Tiles of level 0 know the positions of their events: a leaf's number is the place of its
event in the order of positions, which have holes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

from domain.leaves import Content, leaf_hash
from domain.merkle import Frontier, Node, blocks, fold, join
from domain.tampering import Sealed
from workers.ports import Events, StoredRecord

HEIGHT = 8
WIDTH = 1 << HEIGHT
HASH = 32
SCHEMA = """
CREATE TABLE IF NOT EXISTS notary_tiles (
    level int NOT NULL,
    tile bigint NOT NULL,
    hashes bytea NOT NULL,
    first_position bigint,
    positions bigint[],
    PRIMARY KEY (level, tile)
);
CREATE INDEX IF NOT EXISTS notary_tiles_positions ON notary_tiles (first_position)
    WHERE level = 0;
"""
GROW = """
INSERT INTO notary_tiles (level, tile, hashes, first_position, positions)
VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (level, tile) DO UPDATE SET hashes = notary_tiles.hashes || excluded.hashes,
    positions = notary_tiles.positions || excluded.positions
"""
LAST = """
SELECT tile, octet_length(hashes), positions[array_upper(positions, 1)]
FROM notary_tiles WHERE level = 0 ORDER BY tile DESC LIMIT 1
"""
FIND = """
SELECT tile, array_position(positions, %(position)s::bigint) FROM notary_tiles
WHERE level = 0 AND first_position <= %(position)s ORDER BY first_position DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Edge:
    """How far the tree has come: so many events, the last one at `position`."""

    size: int = 0
    position: int = 0


class MissingNodes(Exception):
    """Tiles that should be there are gone, or shorter than they were."""


def edge(connection: Connection[Any]) -> Edge:
    """How far it has come."""
    row = connection.execute(LAST).fetchone()
    return Edge(row[0] * WIDTH + row[1] // HASH, row[2]) if row else Edge()


def frontier(connection: Connection[Any], size: int) -> Frontier:
    """The right edge at a size; raises MissingNodes."""
    wanted = list(blocks(0, size))
    found = nodes(connection, wanted)
    return Frontier(size, [found[node] for node in wanted])


def root(connection: Connection[Any], size: int) -> bytes:
    """The root at a size; raises MissingNodes."""
    return frontier(connection, size).root


def nodes(connection: Connection[Any], wanted: Iterable[Node]) -> Mapping[Node, bytes]:
    """Nodes that are there, read by one query; raises MissingNodes."""
    places = {node: _place(node) for node in wanted}
    tiles = sorted({(level, tile) for level, tile, *_ in places.values()})
    rows = connection.execute(
        "SELECT level, tile, hashes FROM notary_tiles WHERE (level, tile) IN"
        " (SELECT * FROM unnest(%s::int[], %s::bigint[]))",
        ([level for level, _ in tiles], [tile for _, tile in tiles]),
    )
    found = {(level, tile): _cut(hashes) for level, tile, hashes in rows}
    return {node: _root_in(found, place) for node, place in places.items()}


def grow(connection: Connection[Any], tree: Frontier, records: Sequence[StoredRecord]) -> None:
    """Add events to the tree and its tiles; whoever calls holds the notary's lock."""
    rows: dict[tuple[int, int], tuple[bytearray, list[int]]] = {}
    for record in records:
        number, leaf = tree.size, hashed(record)
        for level, made in tree.append(leaf):
            if level % HEIGHT == 0:
                key = (level // HEIGHT, (number >> level) // WIDTH)
                hashes, positions = rows.setdefault(key, (bytearray(), []))
                hashes += made
                if level == 0:
                    positions.append(record.position)
    values = [
        (level, tile, bytes(hashes), positions[0] if positions else None, positions or None)
        for (level, tile), (hashes, positions) in rows.items()
    ]
    connection.cursor().executemany(GROW, values)


def hashed(record: StoredRecord) -> bytes:
    """The leaf hash of a stored event."""
    content = Content(record.stream, record.version, record.topic, record.state)
    return leaf_hash(record.position, content)


def leaves(
    connection: Connection[Any], size: int, begin: int = 0
) -> Iterator[tuple[int, list[Sealed]]]:
    """Tile after tile from the one with leaf `begin`: its first leaf's number, and its events."""
    for tile in range(begin // WIDTH, (size + WIDTH - 1) // WIDTH):
        row = connection.execute(
            "SELECT hashes, positions FROM notary_tiles WHERE level = 0 AND tile = %s", (tile,)
        ).fetchone()
        if row is None:
            raise MissingNodes(f"the tile of the events from number {tile * WIDTH} on is missing")
        wanted = min(WIDTH, size - tile * WIDTH)
        hashes, positions = _cut(row[0]), row[1] or []
        if len(hashes) < wanted or len(positions) < wanted:
            raise MissingNodes(f"the tile of the events from number {tile * WIDTH} on is short")
        pairs = zip(positions[:wanted], hashes[:wanted], strict=True)
        yield tile * WIDTH, [Sealed(position, leaf) for position, leaf in pairs]


def records(source: Events, after: int, until: int) -> Iterator[StoredRecord]:
    """The events that the store has behind one position up to another."""
    while found := source.events(after, 2 * WIDTH, until):
        yield from found
        after = found[-1].position


def number_at(connection: Connection[Any], position: int) -> int | None:
    """The leaf number of the event at a position; None where the tree has none."""
    row = connection.execute(FIND, {"position": position}).fetchone()
    return None if row is None or row[1] is None else row[0] * WIDTH + row[1] - 1


def _place(node: Node) -> tuple[int, int, int, int]:
    """Level and number of the tile, and the span of its hashes that the node is the root of."""
    level, number = node
    width = 1 << (level % HEIGHT)
    begin = number * width
    return level // HEIGHT, begin // WIDTH, begin % WIDTH, width


def _root_in(
    found: Mapping[tuple[int, int], Sequence[bytes]], place: tuple[int, int, int, int]
) -> bytes:
    level, tile, begin, width = place
    row = list(found.get((level, tile), ())[begin : begin + width])
    if len(row) < width:
        raise MissingNodes(f"tile {tile} of level {level} is missing or short")
    while len(row) > 1:
        row = [join(*row[at : at + 2]) for at in range(0, len(row), 2)]
    return fold(row)


def _cut(hashes: bytes) -> list[bytes]:
    return [hashes[at : at + HASH] for at in range(0, len(hashes), HASH)]
