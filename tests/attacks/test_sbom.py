"""The software bill of materials says what the locks say, the same each time."""

import json
import re

from cyclonedx.model.bom import Bom

from twinlock.dev.sbom import ROOT, bill


def test_it_is_cyclonedx_and_holds_every_pin() -> None:
    made = bill()
    read = Bom.from_json(json.loads(json.dumps(made)))  # type: ignore[attr-defined]
    pins = re.findall(r"^[a-zA-Z0-9._-]+==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    required = [one for one in made["components"] if one["scope"] == "required"]
    assert len(required) == len(pins)
    assert len(read.components) == len(made["components"])
    assert all(one["hashes"] for one in made["components"])


def test_the_same_locks_make_the_same_bill() -> None:
    assert json.dumps(bill()) == json.dumps(bill())
    assert "://" not in json.dumps(bill()["components"])
