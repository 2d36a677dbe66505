"""A short selection of `make faults`: some of everything, small, on one ground."""

from collections.abc import Iterator

import pytest

from tests.faults import command_faults, database_faults, log_faults, projector_faults, whole_faults
from tests.faults.__main__ import play
from tests.faults.ground import Ground, ground
from tests.faults.load import under
from tests.faults.oracle import judge
from tests.faults.scenarios import Harm, Scenario, Seen, Size

pytestmark = [pytest.mark.live, pytest.mark.kafka]
SMALL = Size(0.1, 3)


@pytest.fixture(scope="module")
def here() -> Iterator[Ground]:
    """A whole Twinlock under failpoints."""
    with ground(bound=300, unbound=10) as made:
        yield made


@pytest.mark.parametrize(
    "harm",
    [
        command_faults.after_append,
        command_faults.lost_answer,
        database_faults.restarted,
        log_faults.before_mark,
        projector_faults.before_commit,
        projector_faults.poison,
        projector_faults.unreadable,
        whole_faults.approval,
    ],
)
def test_nothing_is_lost_or_doubled(here: Ground, harm: Harm) -> None:
    seen = harm(here, SMALL)
    here.settle()
    verdict = judge(here)
    assert seen.injected > 0
    assert (verdict.lost, verdict.doubled) == (0, 0), verdict.told


def test_a_failpoint_that_is_nowhere_fails_its_row(here: Ground) -> None:
    def misspelt(ground_: Ground, _: Size) -> Seen:
        with under(ground_.load):
            return Seen(ground_.fail_until("befor-append", 1.0, 1, seconds=2), 0.0)

    row = play(here, Scenario("F1", "a misspelt failpoint", misspelt), SMALL)
    assert (row.well, row.trouble) == (False, "nothing was injected")
