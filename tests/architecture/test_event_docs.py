"""The documents about events agree with the code."""

import re
from pathlib import Path

from docs.write_events import TARGET, written
from workers.caep import MAPPING

DOCS = Path(__file__).parents[2] / "docs"


def test_the_table_of_events_is_up_to_date() -> None:
    assert TARGET.read_text() == written(), "run: python -m docs.write_events"


def test_the_table_of_caep_events_is_the_mapping() -> None:
    rows = re.findall(r"^\| `(mfa\.\w+)` \| `([\w-]+)` \| `(\w+)` \|$", _consume(), re.MULTILINE)
    told = {name: (credential, change) for name, credential, change in rows}
    assert told == {n: (c.credential_type, c.change_type) for n, c in MAPPING.items()}


def test_every_file_that_is_linked_to_is_there() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", _consume()):
        assert (DOCS / target).exists() or target == "auditing.md", target


def _consume() -> str:
    return (DOCS / "consume.md").read_text()
