"""CSV that spreadsheets read as text, whatever stands in it."""

import csv

import pytest

from api.csv_lines import csv_lines


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1"])
def test_no_cell_begins_a_formula(cell: str) -> None:
    _, row = csv.reader(csv_lines(["a"], [[cell]]))
    assert row == [f"'{cell}"]


def test_plain_cells_stay_as_they_are() -> None:
    cells = ["member-1", 'a "quoted", one', None, 12, -1]
    _, row = csv.reader(csv_lines(["a", "b", "c", "d", "e"], [cells]))
    assert row == ["member-1", 'a "quoted", one', "", "12", "-1"]
