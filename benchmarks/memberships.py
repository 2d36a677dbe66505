"""Where memberships belong: on the member's stream or within Workspace, at 100,000 members."""

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.ground import ground
from commands.ports import Context, Stale
from domain.facts import Actor, Fact
from domain.member_facts import MemberAdded
from domain.member_mfa import MemberMFA
from domain.workspace import Workspace
from twinlock.adapters.mapper import decode
from twinlock.composition import Twinlock

BATCH = 500
WRITERS = 8
ADDED = 400
Added = Callable[[int], tuple[type[Any], str]]


def context(twinlock: Twinlock) -> Context:
    """Who adds the members."""
    return twinlock.context(Actor("host", "benchmark"), "benchmark")


def joined(member_id: str) -> Fact:
    """The fact itself is the same either way; only its stream differs."""
    return MemberAdded(workspace_id="w", member_id=member_id, role="member")


def fill(twinlock: Twinlock, members: int) -> None:
    """Put `members` memberships into one Workspace stream."""
    at = context(twinlock)
    for start in range(0, members, BATCH):
        workspace = twinlock.store.load(Workspace, "within")
        count = min(BATCH, members - start)
        twinlock.store.append(at, (workspace, [joined(f"m{start + i}") for i in range(count)]))


def folded(twinlock: Twinlock, stream: str) -> dict[str, str]:
    """Who belongs to the workspace, replayed from the Workspace stream."""
    roles: dict[str, str] = {}
    after = 0
    while records := twinlock.store.events(after, 10_000):
        for record in records:
            if record.stream == stream:
                fact = decode(stream, record.version, record.topic, record.state).fact
                assert isinstance(fact, MemberAdded)
                roles[fact.member_id] = fact.role
        after = records[-1].position
    return roles


def add_in_parallel(twinlock: Twinlock, target: Added) -> tuple[float, int]:
    """Additions a second by eight writers, and how often one had to decide again."""
    at, again = context(twinlock), [0]

    def add(number: int) -> None:
        kind, id_ = target(number)
        while True:
            try:
                aggregate = twinlock.store.load(kind, id_)
                twinlock.store.append(at, (aggregate, [joined(f"p{number}")]))
                return
            except Stale:
                again[0] += 1

    started = time.perf_counter()
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(add, range(ADDED)))
    return ADDED / (time.perf_counter() - started), again[0]


def milliseconds(work: Callable[[], object], times: int) -> float:
    """The median time of `work`."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return sorted(taken)[len(taken) // 2] * 1000


def main(members: int) -> None:
    """Print the table."""
    with ground() as here:
        twinlock = here.twinlock
        fill(twinlock, members)
        within = milliseconds(lambda: folded(twinlock, "workspace/within"), 3)
        twinlock.store.append(context(twinlock), (MemberMFA("one"), [joined("one")]))
        beside = milliseconds(lambda: twinlock.store.load(MemberMFA, "one"), 200)
        rate_within, again_within = add_in_parallel(twinlock, lambda _: (Workspace, "contended"))
        rate_beside, again_beside = add_in_parallel(twinlock, lambda n: (MemberMFA, f"p{n}"))
    print(f"{'':34}{'member stream':>16}{'within Workspace':>18}{'ratio':>9}")
    print(f"{'load to decide, ms':34}{beside:16.2f}{within:18.1f}{within / beside:8.0f}x")
    print(f"{'additions/s, 8 writers':34}{rate_beside:16.0f}{rate_within:18.0f}", end="")
    print(f"{rate_beside / rate_within:8.1f}x")
    print(f"{'decided again':34}{again_beside:16}{again_within:18}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
