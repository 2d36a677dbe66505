"""The locks pin every library by version and hash, and name neither a registry nor a path."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = sorted(ROOT.glob("requirements*.lock"))
PIN = re.compile(r"([a-z0-9][a-z0-9-]*)==\S+(?: ; [^\\]+)? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?")


def pins(lock: Path) -> dict[str, str]:
    lines = [line for line in lock.read_text().splitlines() if not line.startswith(" ")]
    return {line.partition("==")[0]: line for line in lines}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_holds_pins_and_hashes_and_nothing_else(lock: Path) -> None:
    for line in lock.read_text().splitlines():
        assert PIN.fullmatch(line) or HASH.fullmatch(line), line


def test_the_runtime_lock_holds_every_library_asked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {re.split(r"[\[<>=!~]", need)[0] for need in project["dependencies"]}
    assert asked <= set(pins(ROOT / "requirements.lock"))


def test_development_and_service_run_the_same_versions() -> None:
    runtime, run, dev = (pins(ROOT / f"requirements{kind}.lock") for kind in ("", "-run", "-dev"))
    assert_within(runtime, run)
    assert_within(run, dev)


def assert_within(small: dict[str, str], large: dict[str, str]) -> None:
    """The same pins, each for the same platforms, or for all of them."""
    for name, pin in small.items():
        assert large.get(name) in (pin, re.sub(r" ; .+ \\$", r" \\", pin)), name
