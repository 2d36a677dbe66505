"""Faults of PostgreSQL: restarted, frozen, locked, cut off, full, restored from a backup."""

import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

from tests.faults.ground import Ground, descendants, ground
from tests.faults.load import Load, under
from tests.faults.oracle import judge
from tests.faults.people import WORKSPACE
from tests.faults.scenarios import Seen, Size, hold, scenario

CUT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'twinlock'
"""
WELL_AGAIN = 10.0
"""Seconds in which commands have to be answered once the database is there (N22)."""
FROZEN = 3.5
"""Seconds of the slowest answer: 2.5 for a statement, of the request ahead in line, and some."""
LOCKED = 4.5
"""Seconds of the slowest answer: 2 for a lock, as many for the request ahead in line, and some."""


def in_form(ground: Ground, load: Load) -> None:
    """All were served, or refused with 4xx, or with 503 and when to try again.

    The database's faults don't touch the API: no client's connection may break, and none hang.
    """
    hold(not load.failures, f"{load.failures[:3]}")
    odd = ground.journal.unruly()
    hold(not odd, f"answers out of form, by status: {odd}")


@scenario("F5", "PostgreSQL restarted under load, without warning")
def restarted(ground: Ground, size: Size) -> Seen:
    worst, count = 0.0, size.of(20)
    ground.journal.begin()
    with under(ground.load) as load:
        for _ in range(count):
            time.sleep(0.7)
            ground.postgres.kill()
            ground.postgres.restart()
            worst = max(worst, answered_after(ground, time.monotonic()))
    in_form(ground, load)
    hold(worst < WELL_AGAIN, f"answered after {worst:.1f} s only")
    return Seen(count, worst, f"slowest answer {ground.journal.slowest:.1f} s")


@scenario("F5", "connections of everybody cut off")
def cut_off(ground: Ground, size: Size) -> Seen:
    cut, worst, count = 0, 0.0, size.of(12)
    ground.journal.begin()
    with under(ground.load) as load, psycopg.connect(ground.postgres.uri, autocommit=True) as admin:
        for _ in range(count):
            time.sleep(0.5)
            ended = admin.execute(CUT)
            cut += ended.rowcount
            worst = max(worst, answered_after(ground, time.monotonic()))
    in_form(ground, load)
    return Seen(count, worst, f"{cut} connections")


@scenario("F6", "PostgreSQL frozen")
def frozen(ground: Ground, size: Size) -> Seen:
    ground.journal.begin()
    with under(ground.load) as load:
        with stopped(ground):
            time.sleep(size.seconds)
        back = answered_after(ground, time.monotonic())
    in_form(ground, load)
    slowest = ground.journal.slowest
    hold(slowest < FROZEN, f"an answer took {slowest:.1f} s")
    hold(back < WELL_AGAIN, f"answered after {back:.1f} s only")
    return Seen(1, back, f"{size.seconds:.0f} s; slowest answer {slowest:.1f} s")


@scenario("F7", "the event table locked by an idle session")
def locked(ground: Ground, size: Size) -> Seen:
    ground.journal.begin()
    with under(ground.load) as load:
        with psycopg.connect(ground.postgres.uri) as idle:
            idle.execute("LOCK TABLE stored_events IN ACCESS EXCLUSIVE MODE")
            time.sleep(size.seconds)
        back = answered_after(ground, time.monotonic())
    in_form(ground, load)
    slowest = ground.journal.slowest
    hold(slowest < LOCKED, f"an answer took {slowest:.1f} s")
    return Seen(1, back, f"{size.seconds:.0f} s; slowest answer {slowest:.1f} s")


@scenario("F8", "the database's disk is full")
def full_disk(_: Ground, size: Size) -> Seen:
    """On a ground of its own, whose database lies on a small file system in memory."""
    with small_disk() as disk, ground(kafka=False, bound=200, folder=disk) as small:
        with under(small.load, rate=20) as load:
            time.sleep(1)
            ballast = fill(disk)
            small.journal.begin()
            reads = reads_for(small, size.seconds)
            refused, good = small.journal.statuses[503], len(small.journal.good) - 1
            ballast.unlink()
            if small.postgres.process is None or small.postgres.process.poll() is not None:
                small.postgres.restart()
            back = answered_after(small, time.monotonic())
        in_form(small, load)
        small.settle()
        verdict = judge(small)
    hold(not verdict.lost and not verdict.doubled, "; ".join(verdict.told[:3]))
    hold(refused > 0, "nothing was refused on a full disk")
    hold(reads[200] > 0, f"no read is answered on a full disk: {dict(reads)}")
    return Seen(
        1, back, f"{refused} refused with 503; {good} commands and {reads[200]} reads answered"
    )


def reads_for(ground: Ground, seconds: float) -> Counter[int]:
    """Ask for so long what is due at a login; how often which status came."""
    told, end = Counter[int](), time.monotonic() + seconds
    while time.monotonic() < end:
        member = random.choice(ground.people.unbound)
        path = f"/v1/login-checks?workspace_id={WORKSPACE}&member_id={member}"
        told[ground.here.client.get(path, ground.load.host).status] += 1
        time.sleep(0.1)
    return told


@contextmanager
def small_disk() -> Iterator[Path]:
    """A file system of 192 MB in memory; only root may mount one."""
    folder = Path(tempfile.mkdtemp(prefix="twinlock-faults-"))
    mount = ["mount", "-t", "tmpfs", "-o", "size=192m,mode=0711", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True)
    hold(done.returncode == 0, f"no file system can be mounted: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)
        with suppress(OSError):
            folder.rmdir()


def fill(disk: Path) -> Path:
    """Leave nothing of the disk."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(64 * 1024))
    return ballast


@contextmanager
def stopped(ground: Ground) -> Iterator[None]:
    """PostgreSQL and all its backends don't move, until the end of the block."""
    process = ground.postgres.process
    assert process is not None
    pids = descendants(process.pid)
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def answered_after(ground: Ground, moment: float, seconds: float = 60) -> float:
    """How many seconds after the moment a client was first served again."""
    deadline = moment + seconds
    while (found := ground.journal.first_good_after(moment)) is None:
        hold(time.monotonic() < deadline, f"nobody is served after {seconds:.0f} s")
        time.sleep(0.02)
    return found


@contextmanager
def backup_of(ground: Ground) -> Iterator[Path]:
    """A cold copy of the database's files."""
    data = ground.postgres.folder / "data"
    copy = ground.postgres.folder / "backup"
    ground.postgres.stop()
    subprocess.run(["cp", "--archive", str(data), str(copy)], check=True)
    ground.postgres.restart()
    try:
        yield copy
    finally:
        shutil.rmtree(copy, ignore_errors=True)
