"""Pages of docs/ that are run: each command prints what the page says that it does."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from commands.ports import Context
from domain.facts import Actor, Fact
from tests.flow.conftest import Running
from tests.support.command_line import ROOT
from twinlock.adapters.embedded import EmbeddedLog
from twinlock.backend import envelope
from twinlock.composition import Twinlock

BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
HOST = Actor("host", "h1")


def on(twinlock: Twinlock, day: str, kind: Any, id_: str, *facts: Fact, by: Actor = HOST) -> None:
    """Append at nine o'clock of a day."""
    context = Context(at=datetime.fromisoformat(f"{day}T09:00:00+00:00"), actor=by, request_id="r")
    twinlock.store.append(context, (twinlock.store.load(kind, id_), facts))


@contextmanager
def projected(twinlock: Twinlock) -> Iterator[Running]:
    """The read models follow."""
    wrap = envelope(twinlock)
    running = Running(twinlock, EmbeddedLog(twinlock.store, wrap), wrap)
    running.project()
    try:
        yield running
    finally:
        running.stop()


def commands(page: str) -> list[tuple[str, str]]:
    """Each command of the page with what it prints."""
    found = []
    for block in BLOCK.findall((ROOT / "docs" / page).read_text()):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


def at_a_desk(desk: Path, env: Mapping[str, str]) -> dict[str, str]:
    """The environment of somebody who sits at a folder of their own, with `twinlock` at hand."""
    shim = desk / "twinlock"
    shim.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m twinlock "$@"\n')
    shim.chmod(0o755)
    return {**env, "PATH": f"{desk}:{Path(sys.executable).parent}:{env['PATH']}"}


def must_print(command: str, expected: str, *, desk: Path, env: Mapping[str, str]) -> None:
    """Run a command; `*` in what is expected stands for anything on its line."""
    ran = subprocess.run(["bash", "-c", command], cwd=desk, env=env, capture_output=True, text=True)
    printed = ran.stdout + ran.stderr
    pattern = re.escape(expected.strip()).replace(r"\*", r"[^\n]*?")
    assert re.fullmatch(pattern, printed.strip()), f"{command}\n{printed}"
