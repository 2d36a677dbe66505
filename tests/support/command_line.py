"""The command line as its users run it: a process of its own, with settings in the environment."""

import os
import pty
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from twinlock.composition import Twinlock

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


def environment(twinlock: Twinlock, **others: str) -> dict[str, str]:
    """What a process on the same database is started with."""
    settings = twinlock.settings
    assert settings.master_key is not None
    given = {
        "DATABASE": settings.database.get_secret_value(),
        "MASTER_KEY": settings.master_key.get_secret_value(),
        "PUBLIC_URL": settings.public_url,
        **others,
    }
    plain = {name: value for name, value in os.environ.items() if not name.startswith("TWINLOCK_")}
    return {**plain, **{f"TWINLOCK_{name}": value for name, value in given.items()}}


def run_twinlock(twinlock: Twinlock, *arguments: str, **others: str) -> Said:
    """Run `twinlock` with these arguments."""
    return _run(environment(twinlock, **others), subprocess.DEVNULL, *arguments)


def on_a_terminal(twinlock: Twinlock, typed: bytes, *arguments: str) -> Said:
    """Run `twinlock` with these arguments where somebody types."""
    keyboard, terminal = pty.openpty()
    try:
        os.write(keyboard, typed)
        return _run(environment(twinlock), terminal, *arguments)
    finally:
        os.close(keyboard)
        os.close(terminal)


def _run(env: Mapping[str, str], stdin: int, *arguments: str) -> Said:
    command = [sys.executable, "-m", "twinlock", *arguments]
    ended = subprocess.run(command, cwd=ROOT, env=env, stdin=stdin, capture_output=True, timeout=60)
    return Said(ended.returncode, ended.stdout.decode(), ended.stderr.decode())
