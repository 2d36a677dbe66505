"""A million members: what the store takes of the disk, cold start, and memory."""

import time
from collections.abc import Iterable
from itertools import count, islice
from pathlib import Path

from benchmarks import people
from benchmarks.figures import Figure, Findings, Plot
from benchmarks.ground import Ground, ground
from benchmarks.load import drive, written
from benchmarks.people import WORKSPACE
from projections import standing
from projections.models import MODELS

MEMBERS, REQUESTS = 1_000_000, 100_000
MIB = 2**20
LIMIT = 120
FLAT = 1.05
STEPS = 4
CODES = 500
"""Code checks of each step."""
STRIDE = 7919
"""From one member to the next that is asked for: far apart in the tables, none twice."""
HOW = (
    "{members:,} bound members, {events:,} events. Sizes are those of the tables with their "
    "indexes. A cold start is the time from `twinlock serve` to the first login check answered. "
    "Memory is the resident set of the larger of the two API processes, taken again after each "
    "quarter of {requests:,} login checks of 8 clients, {codes:,} code checks among them; every "
    "login check asks for another member."
)


def measure(*, members: int = MEMBERS, requests: int = REQUESTS) -> Findings:
    """Sizes, the start, and memory at rest and under way."""
    with ground() as here:
        people.found_workspace(here.twinlock)
        some = iter(people.add(here.twinlock, 0, members))
        people.project(here.twinlock, *(m for m in MODELS if m.key == standing.KEY))
        people.settle(here.twinlock)
        host = here.token("--role", "host")
        path = f"/v1/login-checks?workspace_id={WORKSPACE}&member_id=m"
        sizes = _sizes(here)
        started = _cold_start(here, written("GET", f"{path}1", host))
        asked = (written("GET", f"{path}{n * STRIDE % members}", host) for n in count())
        memory = [_memory(here)]
        for _ in range(STEPS):
            _answered(here, [person.right() for person in islice(some, CODES)])
            _answered(here, islice(asked, requests // STEPS - CODES))
            memory.append(_memory(here))
    return _told(sizes, started, memory, members, requests)


def _answered(here: Ground, requests: Iterable[bytes]) -> None:
    """Send them all; each has to be answered well."""
    load = drive(here.http, iter(requests), 8, 600)
    if load.statuses.keys() != {200}:
        raise RuntimeError(f"unexpected answers: {load.statuses}")


def _sizes(here: Ground) -> dict[str, int]:
    """Bytes with indexes: of the store, and of the read model that login checks ask."""
    tables = ("stored_events", "vault_items", "vault_keys", *standing.TABLES)
    with here.twinlock.connect() as connection:
        query = "select pg_total_relation_size(%s::regclass)"
        found = {table: connection.execute(query, (table,)).fetchone() for table in tables}
    return {table: int(row[0]) for table, row in found.items() if row}


def _cold_start(here: Ground, request: bytes) -> float:
    """Seconds until the first answer."""
    begun = time.perf_counter()
    here.serve()
    for _ in count():
        try:
            if drive(here.http, iter([request]), 1, 10).statuses[200]:
                return time.perf_counter() - begun
        except OSError:
            time.sleep(0.02)
    raise AssertionError("unreachable")


def _memory(here: Ground) -> float:
    """MiB of the larger API process."""
    main = here.processes["serve"].pid
    workers = Path(f"/proc/{main}/task/{main}/children").read_text().split()
    return max(_resident(int(pid)) for pid in workers)


def _resident(pid: int) -> float:
    words = Path(f"/proc/{pid}/smaps_rollup").read_text().split()
    return int(words[words.index("Rss:") + 1]) / 1024


def _told(
    sizes: dict[str, int], started: float, memory: list[float], members: int, requests: int
) -> Findings:
    events = members * people.BEGUN
    growth = memory[-1] / memory[1]
    vault, model = (
        sum(size for table, size in sizes.items() if table.startswith(part))
        for part in ("vault", "standing")
    )
    per_event = sizes["stored_events"] / events
    figures = [
        Figure("store", f"{per_event:.0f} bytes an event, {sizes['stored_events'] / MIB:,.0f} MiB"),
        Figure("vault", f"{vault / members:.0f} bytes a member"),
        Figure("read model of login checks", f"{model / members:.0f} bytes a member"),
        Figure("cold start to the first answer", f"{started:.1f} s"),
        Figure(
            "memory of an API process at rest",
            f"{memory[0]:.0f} MiB",
            target=f"under {LIMIT} MiB",
            met=memory[0] < LIMIT,
        ),
        Figure(
            f"after {requests:,} requests",
            f"{memory[-1]:.0f} MiB",
            f"after the first quarter {memory[1]:.0f} MiB",
            f"{growth:.2f}",
            f"flat, under {LIMIT} MiB",
            growth <= FLAT and memory[-1] < LIMIT,
        ),
    ]
    labels = ["at rest", *(f"{requests * step // STEPS:,}" for step in range(1, STEPS + 1))]
    title = "Memory of an API process by requests answered"
    plot = Plot("memory", title, "MiB", labels, {"resident": memory})
    how = HOW.format(members=members, events=events, requests=requests, codes=CODES * STEPS)
    return Findings("members", "A million members", how, figures, [plot])
