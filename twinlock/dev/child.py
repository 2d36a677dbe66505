"""Servers as child processes that never outlive us, also when we are killed."""

import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def start(
    command: Sequence[str | Path],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    uid: int | None = None,
    gid: int | None = None,
    at_our_death: signal.Signals = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start a server that appends to the log; Ctrl-C in our terminal does not reach it.

    Start it from a thread that lives as long as the server shall: Linux sends `at_our_death`
    when that very thread ends.
    """
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    log.touch(mode=0o600)
    with log.open("ab") as sink:
        return subprocess.Popen(
            [*_leash(at_our_death), *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd,
            user=uid,
            group=gid,
            extra_groups=None if uid is None else [],
            start_new_session=True,
        )


def stop(
    process: subprocess.Popen[bytes],
    *,
    by: signal.Signals = signal.SIGTERM,
    within: float = 10,
    at_last: signal.Signals = signal.SIGKILL,
) -> None:
    """Ask a process to end, and after that many seconds make it end."""
    if process.poll() is None:
        process.send_signal(by)
    try:
        process.wait(within)
    except subprocess.TimeoutExpired:
        process.send_signal(at_last)
        process.wait()


def _leash(at_our_death: signal.Signals) -> list[str]:
    """Answer the prefix that ties a command to our life, where the system has it."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", at_our_death.name.removeprefix("SIG")] if setpriv else []
