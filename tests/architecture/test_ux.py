"""Each promise of the pages has a row in docs/ux.md, and each row tests that are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| ([0-9]+) \|.*\| ([^|]+) \|$", re.MULTILINE)
PAGES = range(1, 27)
"""Lines whose tests name them; the last two are about the terminal."""


def rows() -> dict[int, list[Path]]:
    found = {}
    for number, held in ROW.findall((ROOT / "docs/ux.md").read_text()):
        paths = re.findall(r"`([\w/]+\.py)`", held)
        folder = Path(paths[0]).parent
        found[int(number)] = [ROOT / (p if "/" in p else folder / p) for p in paths]
    return found


def test_every_line_has_a_row_with_tests() -> None:
    assert sorted(rows()) == list(range(1, 29))
    for number, files in rows().items():
        assert files, number
        assert all(file.exists() for file in files), number


def test_a_test_names_each_line_that_it_holds() -> None:
    named = re.compile(r"UX ([0-9]+(?:, [0-9]+)*)")
    for number, files in rows().items():
        texts = [text for file in files for text in named.findall(file.read_text())]
        said = {int(each) for text in texts for each in text.split(", ")}
        assert number in said or number not in PAGES, number
