"""What time tells strangers: answers about known and unknown addresses, measured side by side.

    python -m tests.attacks.timing

Prints one line for each call: the medians, their gap, and the p of a two-sided
Kolmogorov-Smirnov test (asymptotic). Promised is a gap of 2 ms at most, and p over 0.01.
Four calls that are alike give a smaller p by chance in one of 25 runs, so what is told apart is
measured once more, with other people, and has to be told apart again.
"""

import random
import sys
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import exp, sqrt
from pathlib import Path
from statistics import median

import structlog

from api.alike import STEP
from tests.http.installation import Installation, Person, installed, ticket_body
from tests.support.parts import fresh_database, temporary_folder
from twinlock.dev.postgres import Postgres

SAMPLES = 202
WARM = 4
MOST_GAP_MS = 2.0
LEAST_P = 0.01
STEP_MS = STEP * 1000
CODES, TICKETS = "/v1/tickets/email-codes", "/v1/tickets"
Ask = Callable[[str, str], None]
"""Send the call that is timed, about an address and a challenge."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Two samples of one call, in milliseconds."""

    call: str
    known: Sequence[float]
    unknown: Sequence[float]

    @property
    def gap(self) -> float:
        """How far the medians lie apart."""
        gap: float = float(median(self.known)) - float(median(self.unknown))
        return abs(gap)

    @property
    def p(self) -> float:
        """How likely two samples of one distribution differ at least as much."""
        return kolmogorov_smirnov(self.known, self.unknown)

    @property
    def alike(self) -> bool:
        """Whether it is as promised."""
        return self.gap <= MOST_GAP_MS and self.p > LEAST_P

    def __str__(self) -> str:
        verdict = "alike" if self.alike else "TOLD APART"
        return (
            f"{self.call}: n={len(self.known)} each, median known {median(self.known):.2f} ms, "
            f"unknown {median(self.unknown):.2f} ms, gap {self.gap:.2f} ms, "
            f"KS p={self.p:.3f}: {verdict}"
        )


def kolmogorov_smirnov(one: Sequence[float], other: Sequence[float]) -> float:
    """The two-sided p of two samples, by Kolmogorov's limit with Stephens' correction."""
    first, second = sorted(one), sorted(other)
    distance = max(
        abs(bisect_right(first, x) / len(first) - bisect_right(second, x) / len(second))
        for x in (*first, *second)
    )
    root = sqrt(len(first) * len(second) / (len(first) + len(second)))
    reach = (root + 0.12 + 0.11 / root) * distance
    if reach < 0.2:
        return 1.0
    terms = ((1 if k % 2 else -1) * exp(-2 * (k * reach) ** 2) for k in range(1, 101))
    return min(1.0, max(0.0, 2 * sum(terms)))


def measured(here: Installation, samples: int = SAMPLES) -> Iterator[Compared]:
    """Each call that takes an address from anybody, in random order of who is asked about."""
    workspace = here.workspace()
    people = [here.member(workspace) for _ in range(samples)]
    strangers = [f"nobody-{number}@example.org" for number in range(samples)]
    bound = here.bound(workspace)

    def ask(email: str, _: str) -> None:
        assert here.post(CODES, None, {"email": email}).status == 202

    def file(email: str, challenge_id: str) -> None:
        body = {"email": email, **ticket_body(challenge_id)}
        assert here.post(TICKETS, None, body).told == (403, "code-rejected")

    yield _compared("a mailed code", [p.email for p in people], strangers, ask)
    yield _compared("a surplus code", [bound.email] * samples, strangers, ask)
    challenges = {email: _challenge(here, email) for email in strangers}
    challenges |= {p.email: _newest(here, p) for p in people}
    yield _compared("a wrong code", [p.email for p in people], strangers, file, challenges)
    yield _compared("an unknown challenge", [bound.email] * samples, strangers, file)


def _compared(
    call: str,
    known: Sequence[str],
    unknown: Sequence[str],
    ask: Ask,
    challenges: dict[str, str] | None = None,
) -> Compared:
    turns = [(True, email) for email in known] + [(False, email) for email in unknown]
    random.Random(7).shuffle(turns)
    for _, email in turns[:WARM]:  # neither the first of its kind nor warm by chance
        ask(email, (challenges or {}).get(email, "nothing"))
    taken: dict[bool, list[float]] = {True: [], False: []}
    for is_known, email in turns[WARM:] if challenges is None else turns:
        challenge_id = (challenges or {}).get(email, "nothing")
        began = time.perf_counter()
        ask(email, challenge_id)
        taken[is_known].append((time.perf_counter() - began) * 1000)
    return Compared(call, taken[True], taken[False])


def _challenge(here: Installation, email: str) -> str:
    return str(here.post(CODES, None, {"email": email}).body["challenge_id"])


def _newest(here: Installation, person: Person) -> str:
    here.clock.wait(seconds=61)
    return _challenge(here, person.email)


@contextmanager
def standing() -> Iterator[Installation]:
    """An installation on a PostgreSQL of its own."""
    with temporary_folder() as folder:
        server = Postgres(Path(folder) / "postgres")
        server.start()
        try:
            with fresh_database(server.uri) as database, installed(database) as here:
                yield here
        finally:
            server.stop()


def main() -> int:
    """Print the lines; 1 where a call tells them apart, twice."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    first = _told_apart()
    return 1 if first and first & _told_apart() else 0


def _told_apart() -> set[str]:
    """Measure, print, and answer the calls that tell them apart."""
    with standing() as here:
        found = list(measured(here))
    for one in found:
        sys.stdout.write(f"N24 {one}\n")
    return {one.call for one in found if not one.alike}


if __name__ == "__main__":
    sys.exit(main())
