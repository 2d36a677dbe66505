"""What somebody may do to an export, each with what the verification has to say about it."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass

from domain.leaves import Content
from domain.leaves import leaf_hash as leaf
from domain.tampering import ALTERED, CUT_END, CUT_START, DELETED, FORGED, INSERTED, MOVED, SWAPPED

Told = list[tuple[str, int, int]]


class Lines:
    """An export's lines; events are told by their number, from the first one on."""

    def __init__(self, lines: list[bytes]) -> None:
        self.all = list(lines)
        self.events = [at for at, line in enumerate(lines) if line.startswith(b'{"position"')]
        self.chunks = [at for at, line in enumerate(lines) if line.startswith(b'{"chunk"')]
        self.positions = [int(json.loads(lines[at])["position"]) for at in self.events]

    def change(self, number: int, was: bytes, now: bytes) -> None:
        """Replace within an event's line."""
        at = self.events[number]
        assert was in self.all[at]
        self.all[at] = self.all[at].replace(was, now, 1)

    def drop(self, *numbers: int) -> None:
        """Take events away."""
        gone = {self.events[number] for number in numbers}
        self.all = [line for at, line in enumerate(self.all) if at not in gone]

    def swap(self, one: int, other: int) -> None:
        """Exchange two events' lines."""
        a, b = self.events[one], self.events[other]
        self.all[a], self.all[b] = self.all[b], self.all[a]

    def chunk(self, number: int) -> slice:
        """Where a chunk's lines are."""
        ends = [*self.chunks[1:], len(self.all) - 1]
        return slice(self.chunks[number], ends[number])


@dataclass(frozen=True)
class Alteration:
    """`do` edits the lines and answers what is to be told."""

    name: str
    do: Callable[[Lines], Told]


ALL: list[Alteration] = []


def alteration(name: str) -> Callable[[Callable[[Lines], Told]], None]:
    """Put it into the table."""
    return lambda do: ALL.append(Alteration(name, do))


def one(lines: Lines, kind: str, number: int, until: int | None = None) -> Told:
    """A finding at an event, or from one to another."""
    last = lines.positions[number if until is None else until]
    return [(kind, lines.positions[number], last)]


def altered(what: str, number: int, old: bytes, new: bytes) -> None:
    """Put a change on one event's line into the table, which is found there."""

    @alteration(f"altered: {what}")
    def _(lines: Lines) -> Told:
        lines.change(number, old, new)
        return one(lines, ALTERED, number)


altered("one letter of an event's data", 300, b"host", b"hosT")
altered("the stream that an event belongs to", 301, b'"stream":"token/', b'"stream":"token/x')
altered("the type of an event", 10, b'"topic":"token.created.v1"', b'"topic":"token.revoked.v1"')
altered("a line that is no JSON any more", 77, b'{"position"', b'{"position')


@alteration("altered: an event together with its hash in the seal")
def _(lines: Lines) -> Told:
    lines.change(310, b"host", b"hosT")
    said = json.loads(lines.all[lines.events[310]])
    was = leaf(
        said["position"], Content(*_parts({**said, "state": said["state"].replace("hosT", "host")}))
    )
    now = leaf(said["position"], Content(*_parts(said)))
    seal = lines.chunks[1]
    old, new = base64.b64encode(was), base64.b64encode(now)
    assert old in lines.all[seal]
    lines.all[seal] = lines.all[seal].replace(old, new)
    return [*one(lines, FORGED, 256, 511)]


altered(
    "a name that stands twice on an event's line", 50, b'{"position"', b'{"state":"{}","position"'
)
altered("true in place of 1", 0, b'"version":1', b'"version":true')
altered("a character that is none", 60, b'"stream":"', b'"stream":"\\ud800')
altered("base64 that is none", 61, b'"state":"', '"state_base64":"é'.encode())


@alteration("deleted: one event")
def _(lines: Lines) -> Told:
    lines.drop(40)
    return one(lines, DELETED, 40)


@alteration("deleted: events across two chunks")
def _(lines: Lines) -> Told:
    lines.drop(*range(250, 260))
    return one(lines, DELETED, 250, 259)


@alteration("deleted: a whole chunk with its seal")
def _(lines: Lines) -> Told:
    del lines.all[lines.chunk(1)]
    return one(lines, DELETED, 256, 511)


@alteration("inserted: an event at a position that was free")
def _(lines: Lines) -> Told:
    at = next(n for n, p in enumerate(lines.positions[:-1]) if lines.positions[n + 1] > p + 1)
    free = lines.positions[at] + 1
    forged = json.loads(lines.all[lines.events[at]]) | {"position": free, "version": 9}
    lines.all.insert(lines.events[at] + 1, json.dumps(forged).encode() + b"\n")
    return [(INSERTED, free, free)]


@alteration("inserted: an event a second time")
def _(lines: Lines) -> Told:
    lines.all.insert(lines.events[20], lines.all[lines.events[5]])
    return one(lines, INSERTED, 5)


@alteration("inserted: the end of another export")
def _(lines: Lines) -> Told:
    lines.all.insert(lines.events[20], b'{"end":"another"}\n')
    return [(INSERTED, 0, 0)]


@alteration("inserted: a line of more than an export has")
def _(lines: Lines) -> Told:
    lines.all.insert(lines.events[20], lines.all[-1].replace(b"{", b'{"note":"x",'))
    return one(lines, INSERTED, 255)


@alteration("swapped: two lines near each other")
def _(lines: Lines) -> Told:
    lines.swap(30, 31)
    return one(lines, SWAPPED, 30, 31)


@alteration("swapped: two lines of different chunks")
def _(lines: Lines) -> Told:
    lines.swap(12, 400)
    return one(lines, SWAPPED, 12, 400)


@alteration("swapped: the contents of two events, their positions kept")
def _(lines: Lines) -> Told:
    a, b = lines.events[14], lines.events[402]
    head = b'{"position":%d,'
    first, second = (json.loads(lines.all[at])["position"] for at in (a, b))
    lines.swap(14, 402)
    lines.all[a] = lines.all[a].replace(head % second, head % first)
    lines.all[b] = lines.all[b].replace(head % first, head % second)
    return one(lines, SWAPPED, 14, 402)


@alteration("moved: one event to another place")
def _(lines: Lines) -> Told:
    lines.all.insert(lines.events[10], lines.all.pop(lines.events[90]))
    return one(lines, MOVED, 90)


@alteration("moved: a whole chunk behind the next one")
def _(lines: Lines) -> Told:
    first, second = lines.chunk(0), lines.chunk(1)
    here, there = lines.all[first], lines.all[second]
    lines.all[first.start : second.stop] = [*there, *here]
    return one(lines, MOVED, 0, 255)


@alteration("truncated at the start: the first events")
def _(lines: Lines) -> Told:
    lines.drop(*range(25))
    return one(lines, CUT_START, 0, 24)


@alteration("truncated at the start: header and first events")
def _(lines: Lines) -> Told:
    del lines.all[: lines.events[20]]
    return one(lines, CUT_START, 20)


@alteration("truncated at the end: the last events, the end line kept")
def _(lines: Lines) -> Told:
    last = len(lines.events) - 1
    lines.drop(*range(last - 9, last + 1))
    return one(lines, CUT_END, last - 9, last)


@alteration("truncated at the end: everything behind an event")
def _(lines: Lines) -> Told:
    del lines.all[lines.events[300] :]
    return one(lines, CUT_END, 300, len(lines.events) - 1)


@alteration("truncated at the end: in the middle of a line")
def _(lines: Lines) -> Told:
    torn = lines.all[lines.events[300]][:50]
    lines.all[lines.events[300] :] = [torn]
    return one(lines, CUT_END, 300, len(lines.events) - 1)


@alteration("truncated at the end: the end line alone")
def _(lines: Lines) -> Told:
    lines.all.pop()
    return one(lines, CUT_END, len(lines.events) - 1)


@alteration("forged: a seal is missing")
def _(lines: Lines) -> Told:
    del lines.all[lines.chunks[1]]
    return one(lines, FORGED, 256, 511)


@alteration("forged: a seal's signature")
def _(lines: Lines) -> Told:
    at = lines.chunks[1]
    lines.all[at] = lines.all[at][:-12] + b"A" * 5 + lines.all[at][-7:]
    return one(lines, FORGED, 256, 511)


@alteration("forged: the manifest says another filter")
def _(lines: Lines) -> Told:
    lines.all[0] = lines.all[0].replace(b'"filter":{', b'"filter":{"type":"x"', 1)
    return one(lines, FORGED, 0, len(lines.events) - 1)


@alteration("forged: a checkpoint is missing")
def _(lines: Lines) -> Told:
    del lines.all[1]
    return [(FORGED, 0, 0)]


@alteration("forged: what was kept outside is missing")
def _(lines: Lines) -> Told:
    del lines.all[_kept(lines)]
    return [(FORGED, 0, 0)]


@alteration("forged: what was kept outside stands twice")
def _(lines: Lines) -> Told:
    lines.all.insert(1, lines.all[_kept(lines)])
    return [(FORGED, 0, 0)]


@alteration("moved: what was kept outside behind the last event")
def _(lines: Lines) -> Told:
    lines.all.insert(-1, lines.all.pop(_kept(lines)))
    return [(MOVED, 0, 0)]


@alteration("moved: a checkpoint behind the last event")
def _(lines: Lines) -> Told:
    lines.all.insert(-1, lines.all.pop(1))
    return [(MOVED, 0, 0)]


@alteration("forged: a field too many beside a seal")
def _(lines: Lines) -> Told:
    at = lines.chunks[1]
    lines.all[at] = lines.all[at].replace(b"{", b'{"approved_by":"x",', 1)
    return one(lines, FORGED, 256, 511)


@alteration("forged: a checkpoint's root")
def _(lines: Lines) -> Told:
    text = lines.all[1].split(b"\\n")
    text[2] = base64.b64encode(bytes(32))
    lines.all[1] = b"\\n".join(text)
    return [(FORGED, 0, 0)]


def _kept(lines: Lines) -> int:
    return next(at for at, line in enumerate(lines.all) if line.startswith(b'{"kept"'))


def _parts(said: dict[str, str]) -> tuple[str, int, str, bytes]:
    return said["stream"], int(said["version"]), said["topic"], said["state"].encode()
