"""The table of docs/attacks.md: what is tried, and where it is shown.

    python -m tests.attacks.table

Prints what `make attacks` runs: this folder, and every test of others that the table names.
"""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
TABLE: Final = ROOT / "docs" / "attacks.md"
ROW: Final = re.compile(r"\| ([TC][0-9]+) \| (.+?) \| (.+?) \| (.+?) \|")
NAMED: Final = re.compile(r"`(tests/[a-z_/]+\.py)::([A-Za-z_0-9]+)`")
NUMBERS: Final = [f"T{n}" for n in range(1, 47)] + [f"C{n}" for n in range(1, 57)]


@dataclass(frozen=True, slots=True)
class Row:
    """One abuse, its control, and the tests that show it, or a reason."""

    number: str
    abuse: str
    control: str
    shown: str

    @property
    def tests(self) -> Sequence[tuple[str, str]]:
        """Files and names."""
        return NAMED.findall(self.shown)


def rows() -> list[Row]:
    """The table."""
    return [Row(*found) for found in ROW.findall(TABLE.read_text())]


def programs() -> list[str]:
    """What pytest is to run: all of this folder, and what else is named."""
    named = {f"{path}::{name}" for row in rows() for path, name in row.tests}
    return ["tests/attacks", *sorted(n for n in named if not n.startswith("tests/attacks/"))]


if __name__ == "__main__":
    sys.stdout.write(" ".join(programs()) + "\n")
