"""The README's own lines, run as printed against what `make run` runs, and its tables."""

import ast
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.flow.installation import ROOT
from tests.support.parts import temporary_folder
from twinlock.cli import EXIT_CODES
from twinlock.dev.ports import LOOPBACK, free_port
from twinlock.settings import Settings

README = (ROOT / "README.md").read_text()
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| `([A-Z_]+)` \| .*$", re.MULTILINE)
LINKED = (".venv", "api", "commands", "domain", "projections", "workers", "twinlock")
READY_SECONDS = 90
EXPECTED = [
    "enrolment_required",
    "bound",
    "code_required",
    "granted",
    "200",
    "not_bound",
    "401",
    "submitted",
    "in_review",
    "approved",
    "not_bound",
]


@pytest.fixture
def checkout() -> Iterator[Path]:
    """A folder like a checkout, with `make run`'s program running in it."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with temporary_folder() as folder:
        for name in LINKED:
            (folder / name).symlink_to(ROOT / name)
        (folder / "bin").mkdir()
        shutil.copy(ROOT / "bin/twinlock", folder / "bin/twinlock")
        run = subprocess.Popen(
            [sys.executable, "-m", "twinlock.dev.run"],
            cwd=folder,
            env=kept | {"TWINLOCK_HTTP": f"{LOOPBACK}:{free_port()}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            _wait(folder / "var/run.json", run)
            yield folder
        finally:
            run.terminate()
            run.communicate(timeout=60)


def _wait(facts: Path, run: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not facts.exists():
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.live
def test_the_walk_goes_as_printed(checkout: Path) -> None:
    script = "".join(block.group(1) for block in BLOCK.finditer(README))
    command = ["sh", "-eu", "-c", script]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    words = [line for line in lines if re.fullmatch(r"[a-z_]+|[0-9]{3}", line)]
    assert words == EXPECTED, done.stdout
    audit, events = (json.loads(line) for line in lines[-3:-1])
    assert [item["data"]["method"] for item in audit["items"]] == ["ticket"]
    types = [event["type"] for event in events["events"]]
    assert types == ["twinlock.ticket.submitted.v1", "twinlock.ticket.approved.v1"]
    assert (checkout / "var/qr.png").read_bytes().startswith(b"\x89PNG")


def words_promised() -> list[str]:
    """What the README's comments say that a line prints."""
    return re.findall(r"# ([a-z_]+|[0-9]{3})$", README, re.MULTILINE)


def test_what_the_walk_promises_is_what_is_expected() -> None:
    assert words_promised() == EXPECTED


def settings_table() -> str:
    """The rows of the table, out of the settings themselves."""
    rows = [
        f"| `{name.upper()}` | {_default(field.get_default())} | {meaning} |"
        for (name, field), meaning in zip(Settings.model_fields.items(), _meanings(), strict=True)
    ]
    return "\n".join(rows)


def _default(value: Any) -> str:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, timedelta):
        value = int(value.total_seconds())
    if isinstance(value, bool):
        value = str(value).lower()
    if repr(value) == "PydanticUndefined":
        return "none: it has to be given"
    return "" if value in (None, "") else f"`{value}`"


def _meanings() -> list[str]:
    """The sentence under each setting."""
    (tree,) = ast.parse(inspect.getsource(Settings)).body
    assert isinstance(tree, ast.ClassDef)
    pairs = zip(tree.body, tree.body[1:], strict=False)
    return [
        " ".join(str(said.value.value).split())
        for field, said in pairs
        if isinstance(field, ast.AnnAssign)
        and isinstance(said, ast.Expr)
        and isinstance(said.value, ast.Constant)
    ]


def test_the_table_of_settings_is_what_the_settings_say() -> None:
    found = "\n".join(match.group(0) for match in ROW.finditer(README))
    assert found == settings_table(), f"write this into README.md:\n{settings_table()}"


def test_the_exit_codes_are_what_the_command_line_says() -> None:
    said = " ".join(EXIT_CODES.partition("Exit codes: ")[2].partition(".\n")[0].split())
    table = re.findall(r"^\| ([0-9]) \| (.*) \|$", README, re.MULTILINE)
    assert "; ".join(f"{code} {meaning}" for code, meaning in table) == said


def test_every_command_and_link_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"(?:`|\$ |& )make ([a-z]+)", README)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / link).exists(), link
