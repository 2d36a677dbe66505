"""What a fault scenario is: a row of the table, a function that does the harm, and what it saw."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.ground import Ground


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything; `times` multiplies counts, `seconds` is how long things stay away."""

    times: float = 1.0
    seconds: float = 8.0

    def of(self, count: int) -> int:
        """A count in this size."""
        return max(1, round(count * self.times))


@dataclass(frozen=True, slots=True)
class Seen:
    """How many faults were injected, how long until all was well, and what else was measured."""

    injected: int
    recovery: float
    says: str = ""


Harm = Callable[[Ground, Size], Seen]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A row of the table."""

    row: str
    fault: str
    harm: Harm


SCENARIOS: list[Scenario] = []


def scenario(row: str, fault: str) -> Callable[[Harm], Harm]:
    """Add a function to the table."""

    def add(harm: Harm) -> Harm:
        SCENARIOS.append(Scenario(row, fault, harm))
        return harm

    return add


class Broken(Exception):
    """Something that was promised besides lost and doubled did not hold."""


def hold(promise: bool, otherwise: str) -> None:
    """Raise Broken unless the promise holds."""
    if not promise:
        raise Broken(otherwise)
