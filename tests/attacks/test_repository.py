"""What is kept under version control: no secret, no path of a machine, no address of a registry."""

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = "requirements"
NEVER = {
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "a token of a cloud": r"\b(AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,}|\bxox[abp]-",
    "a signed token": r"\beyJ[A-Za-z0-9_-]{15,}\.eyJ[A-Za-z0-9_-]{15,}\.[A-Za-z0-9_-]{20,}",
    "a master key": r"\bk[0-9]+:[A-Za-z0-9+/]{43}=",
    "a password in an address": r"[a-z]+://[^\s/:@{}$\"']+:(?!marked-)[^\s/@{}$\"']{9,}@",
    "a path of a machine": r"(?<![\w.{}])/(home|Users|root|work|mnt|Volumes)/[a-z][\w.-]*/",
    "a package index": r"(?i)index-url\s*[= ]\s*https?:|artifactory|nexus\.",
}


@cache
def kept() -> tuple[Path, ...]:
    """Every file that is, or is about to be, under version control."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    paths = (ROOT / name for name in listed.stdout.splitlines())
    return tuple(path for path in paths if path.is_file() and path != Path(__file__))


@pytest.mark.parametrize("what", NEVER)
def test_no_file_holds(what: str) -> None:
    found = []
    for path in kept():
        text = path.read_bytes().decode("utf-8", "ignore")
        found += [f"{path.relative_to(ROOT)}: {m[0][:60]}" for m in re.finditer(NEVER[what], text)]
    assert not found


def test_every_silenced_warning_says_why() -> None:
    silent = re.compile(r"# noqa: S[0-9]+\b(?! - \w)")
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in kept()
        if path.suffix == ".py"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if silent.search(line)
    ]
    assert not found
