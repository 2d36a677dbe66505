"""Known and unknown addresses by the clock, roughly; `make attacks` measures it finely."""

import statistics

from tests.attacks.timing import STEP_MS, kolmogorov_smirnov, measured
from tests.http.installation import Installation


def test_strangers_and_members_cannot_be_told_apart_by_much(here: Installation) -> None:
    for one in measured(here, samples=12):
        assert min(*one.known, *one.unknown) >= STEP_MS
        gap = abs(statistics.median(one.known) - statistics.median(one.unknown))
        assert gap <= STEP_MS * 2, one


def test_the_statistic_knows_alike_from_different() -> None:
    one = [float(number % 17) for number in range(200)]
    assert kolmogorov_smirnov(one, one[::-1]) == 1.0
    assert kolmogorov_smirnov(one, [value + 5 for value in one]) < 0.001
