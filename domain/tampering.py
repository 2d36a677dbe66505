"""What was done to a history, told from what was sealed and what is there now."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from domain.leaves import Content, leaf_hash

ALTERED = "altered"
DELETED = "deleted"
INSERTED = "inserted"
SWAPPED = "swapped"
MOVED = "moved"
CUT_START = "truncated at the start"
CUT_END = "truncated at the end"
ROLLED_BACK = "rolled back"
FORGED = "not signed"
ELSEWHERE = "stands somewhere else"
MOST = 10_000
"""How many missing events are told apart, and how many strange ones are named."""
PAIRED = 200
"""Among how many altered events pairs are looked for."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that is wrong, with its first and last position."""

    position: int
    until: int
    kind: str
    detail: str = ""

    def __str__(self) -> str:
        """One line; position 0 stands for none."""
        if self.until == 0:
            return f"{self.kind}: {self.detail}"
        joint = " and " if self.kind == SWAPPED else " to "
        many = "" if self.position == self.until else f"s {self.position}{joint}{self.until}"
        place = f"position{many or f' {self.position}'}"
        return f"{self.kind}: {place}{f' ({self.detail})' if self.detail else ''}"


@dataclass(frozen=True, slots=True)
class Sealed:
    """An event as it was sealed."""

    position: int
    leaf: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """An event as it is there; None stands for what can't be read, `place` says where it is."""

    position: int | None
    content: Content | None
    place: str = ""

    @property
    def leaf(self) -> bytes | None:
        """Its hash; None where it can have none."""
        if self.position is None or self.content is None or not 0 <= self.position < 1 << 63:
            return None
        return leaf_hash(self.position, self.content)


@dataclass(frozen=True, slots=True)
class _Gone:
    """Sealed events that are missing: their places in the sequence, and their positions."""

    start: int
    end: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class _Stray:
    found: Found
    chunk: int


class Comparison:
    """Compares chunk by chunk, and tells at the end; memory stays small whatever is wrong."""

    def __init__(self) -> None:
        """Begin in front of the first event."""
        self.total = 0
        self._findings: list[Finding] = []
        self._gone: list[_Gone] = []
        self._homes: dict[int, tuple[int, Sealed, int]] = {}
        self._strays: list[_Stray] = []
        self._altered: list[tuple[Sealed, Found]] = []
        self._chunk = 0

    def chunk(
        self, sealed: Sequence[Sealed], found: Sequence[Found], start: int | None = None
    ) -> bool:
        """Compare a chunk that begins at place `start` of the sequence, or behind the last one.

        Says whether the events are exactly what was sealed.
        """
        hashes = [(each.position, each.leaf) for each in found]
        exact = hashes == [(each.position, each.leaf) for each in sealed]
        start = self.total if start is None else start
        if not exact:
            self._differ(sealed, found, start)
        self.total = max(self.total, start + len(sealed))
        self._chunk += 1
        return exact

    def lose(self, start: int, first: int, last: int, count: int) -> list[bytes | None]:
        """A chunk's seal is missing; answers the hashes of its events, where they are all there."""
        self.total = max(self.total, start + count)
        inside = [s for s in self._strays if first <= (s.found.position or 0) <= last]
        if count and len(inside) == count:
            self._strays = [stray for stray in self._strays if stray not in inside]
            self.note(Finding(first, last, FORGED, "their seal is missing"))
            return [stray.found.leaf for stray in inside]
        self._gone.append(_Gone(start, start + count - 1, first, last))
        return []

    def note(self, finding: Finding) -> None:
        """Something else is wrong."""
        self._findings.append(finding)

    def finish(self) -> list[Finding]:
        """Everything that is wrong, in the order of positions."""
        return sorted([*self._moved(), *self._swapped(), *self._missing(), *self._findings])

    def _differ(self, sealed: Sequence[Sealed], found: Sequence[Found], start: int) -> None:
        by_position = {each.position: each for each in sealed}
        seen: dict[int, list[Found]] = {}
        unreadable = []
        for each in found:
            if each.position is None:
                unreadable.append(each)
            elif each.position in by_position:
                seen.setdefault(each.position, []).append(each)
            elif len(self._strays) < MOST:
                self._strays.append(_Stray(each, self._chunk))
        for position, several in seen.items():
            self._judge(by_position[position], several)
        self._order(list(seen))
        self._miss(sealed, seen, unreadable, start)

    def _judge(self, sealed: Sealed, several: Sequence[Found]) -> None:
        genuine = [each for each in several if each.leaf == sealed.leaf]
        kept = genuine[0] if genuine else several[0]
        if not genuine:
            self._altered.append((sealed, kept))
        for each in several:
            if each is not kept:
                detail = f"{each.place}, stands twice" if each.place else "stands twice"
                at = sealed.position
                self._findings.append(Finding(at, at, INSERTED, detail))

    def _order(self, positions: list[int]) -> None:
        wanted = sorted(positions)
        displaced = {w: p for w, p in zip(wanted, positions, strict=True) if w != p}
        if all(displaced.get(there) == home for home, there in displaced.items()):
            pairs = [(one, other) for one, other in displaced.items() if one < other]
            self._findings += [Finding(one, other, SWAPPED) for one, other in pairs]
        else:
            moved = sorted(set(positions) - set(_rising(positions)))
            self._findings += [Finding(p, p, MOVED, ELSEWHERE) for p in moved]

    def _miss(
        self,
        sealed: Sequence[Sealed],
        seen: dict[int, list[Found]],
        unreadable: list[Found],
        start: int,
    ) -> None:
        for number, each in enumerate(sealed):
            if each.position in seen:
                continue
            place = start + number
            if unreadable:
                detail = f"{unreadable.pop(0).place} cannot be read"
                self._findings.append(Finding(each.position, each.position, ALTERED, detail))
            elif len(self._homes) < MOST:
                self._homes[each.position] = (place, each, self._chunk)
            else:
                self._gone.append(_Gone(place, place, each.position, each.position))
                self._join()
        at = sealed[-1].position if sealed else 0
        for extra in unreadable:
            self._findings.append(Finding(at, at, INSERTED, f"{extra.place} cannot be read"))

    def _join(self) -> None:
        """Two neighbours are one range."""
        if len(self._gone) > 1 and self._gone[-2].end + 1 == self._gone[-1].start:
            one, other = self._gone[-2:]
            self._gone[-2:] = [_Gone(one.start, other.end, one.first, other.last)]

    def _moved(self) -> list[Finding]:
        """What is missing here and stands there: two that changed places, or one that moved."""
        moved: dict[int, tuple[int, int]] = {}
        findings = []
        for stray in self._strays:
            position = stray.found.position
            assert position is not None
            home = self._homes.get(position)
            if home is not None and stray.found.leaf == home[1].leaf:
                moved[position] = (home[2], stray.chunk)
                del self._homes[position]
            else:
                findings.append(Finding(position, position, INSERTED, stray.found.place))
        crossed = Counter(moved.values())
        for position, (home_chunk, chunk) in sorted(moved.items()):
            partner = [p for p, way in moved.items() if way == (chunk, home_chunk)]
            if crossed[chunk, home_chunk] == crossed[home_chunk, chunk] == 1:
                if position < partner[0]:
                    findings.append(Finding(position, partner[0], SWAPPED))
            else:
                findings.append(Finding(position, position, MOVED, ELSEWHERE))
        return findings

    def _swapped(self) -> list[Finding]:
        """Altered events, of which two may hold each other's content."""
        findings, paired = [], set[int]()
        for number, (mine, here) in enumerate(self._altered):
            if number in paired:
                continue
            partner = self._partner(number, paired) if number < PAIRED else None
            if partner is None:
                findings.append(Finding(mine.position, mine.position, ALTERED, here.place))
            else:
                paired.add(partner)
                other = self._altered[partner][0].position
                findings.append(Finding(mine.position, other, SWAPPED, "with each other's content"))
        return findings

    def _partner(self, number: int, paired: set[int]) -> int | None:
        mine, here = self._altered[number]
        for other in range(number + 1, min(len(self._altered), PAIRED)):
            yours, there = self._altered[other]
            if other in paired or here.content is None or there.content is None:
                continue
            crossed = (
                leaf_hash(mine.position, there.content),
                leaf_hash(yours.position, here.content),
            )
            if crossed == (mine.leaf, yours.leaf):
                return other
        return None

    def _missing(self) -> list[Finding]:
        alone = [_Gone(n, n, each.position, each.position) for n, each, _ in self._homes.values()]
        runs: list[_Gone] = []
        for gone in sorted([*alone, *self._gone], key=lambda run: run.start):
            if runs and runs[-1].end + 1 == gone.start:
                runs[-1] = _Gone(runs[-1].start, gone.end, runs[-1].first, gone.last)
            else:
                runs.append(gone)
        return [self._told(run) for run in runs]

    def _told(self, run: _Gone) -> Finding:
        count = run.end - run.start + 1
        kind = DELETED
        if run.start == 0 and run.end < self.total - 1:
            kind = CUT_START
        elif run.end == self.total - 1:
            kind = CUT_END
        detail = f"{count} events" if count > 1 else ""
        return Finding(run.first, run.last, kind, detail)


def _rising(positions: Sequence[int]) -> list[int]:
    """A longest part that rises, by patience sorting."""
    tops: list[int] = []
    before: dict[int, int | None] = {}
    for position in positions:
        at = bisect_left(tops, position)
        before[position] = tops[at - 1] if at else None
        tops[at : at + 1] = [position]
    rising: list[int] = []
    last = tops[-1] if tops else None
    while last is not None:
        rising.append(last)
        last = before[last]
    return rising
