"""Code checks and login checks a second, each beside what the bare views do in the same run."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import count, islice

from benchmarks import people
from benchmarks.figures import Figure, Findings, Plot, median
from benchmarks.ground import Ground, ground
from benchmarks.load import Load, drive, written
from benchmarks.people import WORKSPACE, Person

CLIENTS = (1, 8, 32)
ROUNDS = 5
MOST = 1500
"""Code checks a second that there are members for."""
TRIES = 4
"""Wrong codes for each member: the next one would lock."""
ASKED = 2000
"""Members who are asked for in login checks, and enter no codes.

Their rows in the read model are current, as projectors keep them.
"""
Kind = str
Seen = dict[tuple[int, Kind], list[Load]]
HOW = (
    "Twinlock is served as `twinlock serve` does it (granian, 2 processes of 4 threads), the bare "
    "Flask views by the same server with the same settings and on the same PostgreSQL. No workers "
    "run. Each line is the median of {rounds} rounds; in each round all kinds take turns, a second "
    "each, and a ratio is taken within its round. A code check spends a code, signs a pass and "
    "commits before it answers; its limit is a view with one durable insert. A bare code is the "
    "same without a rule: a view that reads a row, unseals a secret, compares three codes, inserts "
    "a row and signs a token. A login check's limit is a view with one read by primary key; who is "
    "asked for enters no codes meanwhile. The microseconds are processor time of servers and "
    "database for each request, and their ratio is the steadier one where the machine is shared."
)


class Checks:
    """The measurements on one ground."""

    def __init__(self, here: Ground, members: int) -> None:
        people.found_workspace(here.twinlock)
        self._here, self._members = here, members
        self._people = iter(people.add(here.twinlock, 0, members))
        people.add(here.twinlock, members, ASKED)
        people.project(here.twinlock)
        people.settle(here.twinlock)
        here.serve()
        here.serve_bare()
        self._host = here.token("--role", "host")
        body = b"x" * 100
        self.kinds: dict[Kind, Callable[[int, float], Load]] = {
            "empty": self._bare(lambda _: written("GET", "/empty")),
            "insert": self._bare(lambda _: written("POST", "/insert", body=body)),
            "bare code": self._bare(lambda _: written("POST", "/code", body=b'{"code": "123456"}')),
            "right code": self._right,
            "wrong code": self._wrong,
            "read": self._bare(lambda n: written("GET", f"/read/{n % 10_000 + 1}")),
            "login check": self._login_check,
        }

    def _right(self, clients: int, seconds: float) -> Load:
        """Right codes, each of another member."""
        requests = [person.right() for person in self._some(int(MOST * seconds))]
        return self._drive(self._here.http, iter(requests), clients, seconds, 200)

    def _wrong(self, clients: int, seconds: float) -> Load:
        """Wrong codes, of members that the next failure does not lock."""
        some = self._some(int(MOST * seconds / TRIES))
        requests = [person.wrong() for _ in range(TRIES) for person in some]
        return self._drive(self._here.http, iter(requests), clients, seconds, 403)

    def _login_check(self, clients: int, seconds: float) -> Load:
        """Login checks of members in turn."""
        path = f"/v1/login-checks?workspace_id={WORKSPACE}&member_id=m"
        first = self._members
        asked = [written("GET", f"{path}{first + n}", self._host) for n in range(ASKED)]
        return self._drive(self._here.http, over_and_over(asked), clients, seconds, 200)

    def _bare(self, request: Callable[[int], bytes]) -> Callable[[int, float], Load]:
        requests = [request(n * 7919) for n in range(2000)]
        return lambda clients, seconds: self._drive(
            self._here.bare, over_and_over(requests), clients, seconds, 200
        )

    def _drive(
        self, address: str, requests: Iterator[bytes], clients: int, seconds: float, right: int
    ) -> Load:
        before = self._here.cpu()
        load = drive(address, requests, clients, seconds)
        load.cpu = (self._here.cpu() - before) * 1e6 / len(load.took)
        if load.statuses.keys() != {right}:
            raise RuntimeError(f"unexpected answers: {load.statuses}")
        return load

    def _some(self, number: int) -> list[Person]:
        """Members whom nobody has met yet."""
        return list(islice(self._people, number))


def measure(*, rounds: int = ROUNDS, seconds: float = 1.0) -> Findings:
    """All kinds at 1, 8 and 32 clients."""
    slices = len(CLIENTS) * rounds + 1
    seen: Seen = defaultdict(list)
    with ground() as here:
        checks = Checks(here, int(MOST * seconds * slices * (1 + 1 / TRIES)) + 100)
        for kind in checks.kinds.values():
            kind(8, seconds)  # connections and prepared statements of every thread
        for clients in CLIENTS:
            for _ in range(rounds):
                for name, kind in checks.kinds.items():
                    seen[clients, name].append(kind(clients, seconds))
    return _told(seen, rounds)


def _told(seen: Seen, rounds: int) -> Findings:
    figures = [
        _figure(seen, clients, *row)
        for row in (
            ("right code", "insert", 0.5),
            ("wrong code", "insert", None),
            ("bare code", "insert", None),
            ("login check", "read", 0.7),
        )
        for clients in CLIENTS
    ]
    labels = [f"{clients} client{'s' if clients > 1 else ''}" for clients in CLIENTS]
    names = list(dict.fromkeys(name for _, name in seen))
    rates = {name: [_rate(seen[c, name]) for c in CLIENTS] for name in names if name != "empty"}
    slow = {name: [_at(seen[c, name], 0.99) for c in CLIENTS] for name in names}
    plots = [
        Plot("rates", "Requests answered", "a second", labels, rates),
        Plot("latency", "99 of 100 are answered within", "ms", labels, slow),
    ]
    how = HOW.format(rounds=rounds)
    return Findings("checks", "Code checks and login checks", how, figures, plots)


def _figure(seen: Seen, clients: int, kind: Kind, limit: Kind, target: float | None) -> Figure:
    ours, bare = seen[clients, kind], seen[clients, limit]
    empty = seen[clients, "empty"]
    ratio = median([one.rate / other.rate for one, other in zip(ours, bare, strict=True)])
    of_empty = median([one.rate / other.rate for one, other in zip(ours, empty, strict=True)])
    spent, limited = (median([load.cpu for load in loads]) for loads in (ours, bare))
    aimed = target is not None and clients == 8
    times = f"p50 {_at(ours, 0.5):.1f} ms, p99 {_at(ours, 0.99):.1f} ms"
    return Figure(
        f"{kind}, {clients} client{'s' if clients > 1 else ''}",
        f"{_rate(ours):,.0f}/s, {times}, {spent:,.0f} µs",
        f"{limit} {_rate(bare):,.0f}/s, {limited:,.0f} µs; empty {_rate(empty):,.0f}/s",
        f"{ratio:.2f}; processor {limited / spent:.2f}; of empty {of_empty:.2f}",
        f"at least {target}" if aimed else "",
        ratio >= target if aimed and target is not None else None,
    )


def _rate(loads: list[Load]) -> float:
    return median([load.rate for load in loads])


def _at(loads: list[Load], share: float) -> float:
    return median([load.percentile(share) for load in loads])


def over_and_over(requests: list[bytes]) -> Iterator[bytes]:
    """The same requests in turn, without an end."""
    return (requests[n % len(requests)] for n in count())
