"""What a code check costs with 10, 1,000 and 10,000 events of history."""

import time

from benchmarks import people
from benchmarks.figures import Figure, Findings, Plot, median
from benchmarks.ground import Ground, ground
from benchmarks.load import drive, written
from benchmarks.people import Person

EVENTS = (10, 1_000, 10_000)
MEMBERS = 12
TRIES = 4
HOW = (
    f"One client; {MEMBERS} members of each length of history take turns, four wrong codes and a "
    "right one each, so that the noise of the machine meets all alike. Their snapshots were taken "
    "by an earlier request, as they are in service: every ten events. The last line is the very "
    "first load, which has to replay everything."
)


def measure() -> Findings:
    """The median of each length, and the longest against the shortest."""
    with ground() as here:
        people.found_workspace(here.twinlock)
        groups = {
            events: people.add(
                here.twinlock, n * MEMBERS, MEMBERS, codes=events - people.BEGUN, rejected=True
            )
            for n, events in enumerate(EVENTS)
        }
        people.settle(here.twinlock)
        here.serve()
        first = {events: _first(here, some[0]) for events, some in groups.items()}
        for some in groups.values():
            for person in some:
                _first(here, person)
        time.sleep(3)  # snapshots are taken in the background
        took = _taken(here, groups)
    return _told({events: median(times) for events, times in took.items()}, first)


def _first(here: Ground, person: Person) -> float:
    request = written("GET", f"/v1/logins/login-{person.id}", person.token)
    return drive(here.http, iter([request]), 1, 10).took[0]


def _taken(here: Ground, groups: dict[int, list[Person]]) -> dict[int, list[float]]:
    """Milliseconds by length of history, in turns."""
    took: dict[int, list[float]] = {events: [] for events in groups}
    for attempt in range(TRIES + 1):
        for number in range(MEMBERS):
            persons = [some[number] for some in groups.values()]
            requests = [p.right() if attempt == TRIES else p.wrong() for p in persons]
            load = drive(here.http, iter(requests), 1, 10)
            if load.statuses.keys() - {200, 403}:
                raise RuntimeError(f"unexpected answers: {load.statuses}")
            for events, ms in zip(groups, load.took, strict=True):
                took[events].append(ms)
    return took


def _told(took: dict[int, float], first: dict[int, float]) -> Findings:
    shortest, longest = took[EVENTS[0]], took[EVENTS[-1]]
    figures = [
        Figure(
            f"check with {events:,} events",
            f"{ms:.2f} ms",
            f"with {EVENTS[0]} events {shortest:.2f} ms",
            f"{ms / shortest:.2f}",
            "at most 1.1" if events == EVENTS[-1] else "",
            longest <= 1.1 * shortest if events == EVENTS[-1] else None,
        )
        for events, ms in took.items()
    ]
    figures.append(
        Figure(f"first load of {EVENTS[-1]:,} events, no snapshot", f"{first[EVENTS[-1]]:.0f} ms")
    )
    plot = Plot(
        "history",
        "A code check by length of history",
        "ms",
        [f"{events:,} events" for events in EVENTS],
        {"median": [took[events] for events in EVENTS]},
    )
    return Findings("history", "Length of history", HOW, figures, [plot])
