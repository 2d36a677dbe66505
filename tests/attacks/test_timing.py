"""Known and unknown addresses by the clock, roughly; `make attacks` measures it finely."""

from tests.attacks.timing import STEP_MS, kolmogorov_smirnov, measured
from tests.http.installation import Installation


def test_strangers_and_members_cannot_be_told_apart_by_much(here: Installation) -> None:
    def told_apart() -> set[str]:
        """A whole step apart, or a part of one."""
        found = list(measured(here, samples=12))
        assert min(time for one in found for time in (*one.known, *one.unknown)) >= STEP_MS
        return {one.call for one in found if one.gap >= STEP_MS / 2}

    apart = told_apart()
    for _ in range(2):  # a busy machine pushes a call over a step, but not the same each time
        apart = apart and apart & told_apart()
    assert apart == set()


def test_the_statistic_knows_alike_from_different() -> None:
    one = [float(number % 17) for number in range(200)]
    assert kolmogorov_smirnov(one, one[::-1]) == 1.0
    assert kolmogorov_smirnov(one, [value + 5 for value in one]) < 0.001
