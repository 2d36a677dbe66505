"""docs/attacks.md answers every number, and every test that it names is there."""

import ast

import pytest

from tests.attacks.table import NUMBERS, ROOT, Row, rows


def test_every_number_stands_there_once() -> None:
    assert [row.number for row in rows()] == NUMBERS


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.number)
def test_a_row_is_shown_by_tests_that_exist_or_says_why_not(row: Row) -> None:
    assert row.tests or len(row.shown.split()) > 7
    for path, name in row.tests:
        tree = ast.parse((ROOT / path).read_text())
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)} | {
            target.id
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }, f"{path}::{name}"
