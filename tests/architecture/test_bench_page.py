"""What was measured says on what kind of machine, and no more of where."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.__main__ import machine

DOCS = Path(__file__).parents[2] / "docs"
LINUX = re.compile(r"Linux (.*?), Python")


@pytest.mark.parametrize(
    "file", ["bench.md", *(f"bench/{p.name}" for p in DOCS.glob("bench/*.json"))]
)
def test_a_measurement_names_the_kernels_version_alone(file: str) -> None:
    told = (DOCS / file).read_text() + machine(datetime.now(UTC), 0.0)
    assert all(re.fullmatch(r"[0-9]+\.[0-9]+", each) for each in LINUX.findall(told))
