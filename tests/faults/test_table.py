"""A row of the table is well only where something was injected and everything held."""

from typing import Any

import pytest

from tests.faults.oracle import Verdict
from tests.faults.scenarios import Scenario, Seen
from tests.faults.table import Row


def a_row(injected: int, failure: str = "", **verdict: Any) -> Row:
    """A scenario that was played."""
    scenario = Scenario("F1", "a fault", lambda *_: Seen(injected, 0.0))
    return Row(scenario, Seen(injected, 0.0, "says"), Verdict(**verdict), failure)


def test_a_fault_that_happened_and_did_no_harm_is_well() -> None:
    assert a_row(1).well
    assert a_row(1).line().endswith("says")


def test_a_row_in_which_nothing_was_injected_is_not_well() -> None:
    assert not a_row(0).well
    assert a_row(0).line().endswith("nothing was injected")


@pytest.mark.parametrize("harm", [{"failure": "x"}, {"lost": 1}, {"doubled": 1}])
def test_a_row_with_harm_is_not_well(harm: dict[str, Any]) -> None:
    assert not a_row(1, **harm).well
