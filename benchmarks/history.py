"""What a code check costs with 10, 1,000 and 10,000 events of history."""

import time
from itertools import cycle, permutations

from benchmarks import people
from benchmarks.figures import Figure, Findings, Plot, median
from benchmarks.ground import Ground, ground
from benchmarks.load import drive, written
from benchmarks.people import Person

EVENTS = (10, 1_000, 10_000)
MEMBERS = 24
TRIES = 4
WARM_UP = 100
HOW = (
    "One client, on one connection that it keeps; it first enters right codes of {warm_up} others, "
    "which do not count. Then {members} members of each length of history take turns, four wrong "
    "codes and a right one each, and the lengths follow each other in every order equally often, "
    "so that the noise of the machine meets all alike. Their snapshots were taken by an earlier "
    "request, as they are in service: every ten events. The last line is the very first load, "
    "which has to replay everything."
)


def measure(*, lengths: tuple[int, ...] = EVENTS, members: int = MEMBERS) -> Findings:
    """The median of each length, and the longest against the shortest."""
    with ground() as here:
        people.found_workspace(here.twinlock)
        groups = {
            events: people.add(
                here.twinlock, n * members, members, codes=events - people.BEGUN, rejected=True
            )
            for n, events in enumerate(lengths)
        }
        others = people.add(here.twinlock, len(lengths) * members, 2 * WARM_UP)
        people.settle(here.twinlock)
        here.serve()
        drive(here.http, (other.right() for other in others[WARM_UP:]), 8, 10)
        first = {events: _first(here, some[0]) for events, some in groups.items()}
        for some in groups.values():
            for person in some:
                _first(here, person)
        _await_snapshots(here, len(lengths) * members)
        took = _taken(here, groups, others[:WARM_UP])
    how = HOW.format(warm_up=WARM_UP, members=members)
    return _told({events: median(times) for events, times in took.items()}, first, how)


def _first(here: Ground, person: Person) -> float:
    request = written("GET", f"/v1/logins/login-{person.id}", person.token)
    return drive(here.http, iter([request]), 1, 10).took[0]


def _await_snapshots(here: Ground, expected: int) -> None:
    """They are taken in the background."""
    deadline = time.monotonic() + 60
    query = "select count(distinct originator_id) from stored_snapshots"
    with here.twinlock.connect() as connection:
        while connection.execute(query).fetchone() != (expected,):
            if time.monotonic() > deadline:
                raise TimeoutError("the snapshots do not come")
            time.sleep(0.1)


def _taken(
    here: Ground, groups: dict[int, list[Person]], others: list[Person]
) -> dict[int, list[float]]:
    """Milliseconds by length of history."""
    turns = _turns(groups)
    requests = [*(other.right() for other in others), *(request for _, request in turns)]
    load = drive(here.http, iter(requests), 1, 60)
    right = len(others) + len(turns) // (TRIES + 1)
    if load.statuses != {200: right, 403: len(requests) - right}:
        raise RuntimeError(f"unexpected answers: {load.statuses}")
    took: dict[int, list[float]] = {events: [] for events in groups}
    for (events, _), ms in zip(turns, load.took[len(others) :], strict=True):
        took[events].append(ms)
    return took


def _turns(groups: dict[int, list[Person]]) -> list[tuple[int, bytes]]:
    """Requests, each with its length of history."""
    orders = cycle(permutations(groups))
    rows = [dict(zip(groups, row, strict=True)) for row in zip(*groups.values(), strict=True)]
    return [
        (events, row[events].right() if attempt == TRIES else row[events].wrong())
        for attempt in range(TRIES + 1)
        for row in rows
        for events in next(orders)
    ]


def _told(took: dict[int, float], first: dict[int, float], how: str) -> Findings:
    least, most = min(took), max(took)
    shortest, longest = took[least], took[most]
    figures = [
        Figure(
            f"check with {events:,} events",
            f"{ms:.2f} ms",
            f"with {least} events {shortest:.2f} ms",
            f"{ms / shortest:.2f}",
            "at most 1.1" if events == most else "",
            longest <= 1.1 * shortest if events == most else None,
        )
        for events, ms in took.items()
    ]
    figures.append(Figure(f"first load of {most:,} events, no snapshot", f"{first[most]:.0f} ms"))
    plot = Plot(
        "history",
        "A code check by length of history",
        "ms",
        [f"{events:,} events" for events in took],
        {"median": [took[events] for events in took]},
    )
    return Findings("history", "Length of history", how, figures, [plot])
