"""Appends of eight writers on a disk whose flushes take 2 ms, against the library's recorder."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

import psycopg
from eventsourcing.application import Application
from eventsourcing.persistence import StoredEvent
from psycopg.conninfo import conninfo_to_dict

from benchmarks.figures import Figure, Findings, Plot, median
from benchmarks.ground import ROOT
from domain.facts import Actor
from domain.member_facts import Registered
from domain.member_mfa import MemberMFA
from twinlock.composition import build
from twinlock.dev import postgres
from twinlock.settings import Settings

WRITERS: Final = 8
SECONDS: Final = 1.0
ROUNDS: Final = 5
SHIM: Final = """
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static int flush(int number, int fd) {
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    int failed = syscall(number, fd);
    end.tv_nsec += 2000000;
    if (end.tv_nsec >= 1000000000) { end.tv_sec++; end.tv_nsec -= 1000000000; }
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, 0)) {}
    return failed;
}
int fsync(int fd) { return flush(SYS_fsync, fd); }
int fdatasync(int fd) { return flush(SYS_fdatasync, fd); }
"""
HOW: Final = (
    "The disk is simulated: PostgreSQL runs behind a library that makes the real flush in every "
    "fsync and fdatasync, and then sleeps until 2 ms are over. Eight processes of each kind append "
    "one event after another, each to streams of its own. The kinds take turns, {seconds:.0f} s "
    "each, in {rounds} rounds; the rates are medians, and the ratio is taken within its round. "
    "The bare insert puts the same row into a table of the same columns and indexes. "
    "PostgreSQL flushes for whoever waits at that moment, about half of the writers each time, and "
    "the library's recorder lets one wait: what the bare insert makes of it is the limit."
)
KEY: Final = "k1:" + "A" * 43 + "="
"""A master key that guards nothing: no secret is sealed here."""
TOPIC: Final = "mfa.registered.v1"
BARE: Final = """
insert into bare_appends (originator_id, originator_version, topic, state)
values (%s, %s, %s, %s) returning notification_id
"""
KINDS: Final = ("bare insert", "library's recorder", "ours")
Writer = subprocess.Popen[str]
Rates = dict[str, list[float]]
"""Appends a second of each kind, in each round."""


def measure() -> Findings:
    """Appends a second of each kind; without a C compiler, a sentence instead."""
    if shutil.which("cc") is None:
        how = "Skipped: there is no C compiler to make the simulated disk with."
        return Findings("flushes", "A disk with 2 ms flushes", how, [])
    with _slow_disk() as uri, _writers(uri) as writers:
        rates = _rounds(writers)
    bare, library, ours = (rates[kind] for kind in KINDS)
    ratio = median([mine / its for mine, its in zip(ours, library, strict=True)])
    figure = Figure(
        f"appends, {WRITERS} writers, 2 ms flushes",
        f"{median(ours):,.0f}/s",
        f"library's recorder {median(library):,.0f}/s, bare insert {median(bare):,.0f}/s",
        f"{ratio:.1f} times the library's",
        "at least 5 times",
        ratio >= 5,
    )
    title = "Appends of eight writers, flushes of 2 ms"
    series = {"appends": [median(rates[kind]) for kind in KINDS]}
    plot = Plot("flushes", title, "a second", list(KINDS), series)
    how = HOW.format(seconds=SECONDS, rounds=ROUNDS)
    return Findings("flushes", "A disk with 2 ms flushes", how, [figure], [plot])


@contextmanager
def _slow_disk() -> Iterator[str]:
    """A PostgreSQL on the simulated disk, with Twinlock's and the library's tables."""
    with tempfile.TemporaryDirectory(prefix="twinlock-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        shim = folder / "slow_flush.so"
        compile_it = ["cc", "-shared", "-fPIC", "-O1", "-x", "c", "-", "-o", str(shim)]
        subprocess.run(compile_it, input=SHIM.encode(), check=True)  # noqa: S603 - our own source
        shim.chmod(0o755)
        server = postgres.Postgres(folder / "postgres")
        server.start()
        postgres.BARE["LD_PRELOAD"] = str(shim)
        try:
            server.restart()
            _prepare(server.uri)
            yield server.uri
        finally:
            del postgres.BARE["LD_PRELOAD"]
            server.stop()


def _prepare(uri: str) -> None:
    twinlock = build(_settings(uri))
    twinlock.migrate()
    twinlock.close()
    _library(uri, create=True).close()
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute("create table bare_appends (like stored_events including all)")


def _settings(uri: str) -> Settings:
    given: dict[str, Any] = {"database": uri, "master_key": KEY}
    return Settings(_env_file=None, **given)  # type: ignore[call-arg]


def _library(uri: str, *, create: bool = False) -> Application[str]:
    """The library's application with its default recorder."""
    place = conninfo_to_dict(uri)
    env = {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": place["dbname"],
        "POSTGRES_HOST": place["host"],
        "POSTGRES_PORT": place["port"],
        "POSTGRES_USER": place["user"],
        "POSTGRES_PASSWORD": place["password"],
        "ORIGINATOR_ID_TYPE": "text",
        "CREATE_TABLE": "y" if create else "n",
    }
    return Application[str](env={key: str(value) for key, value in env.items()})


@contextmanager
def _writers(uri: str) -> Iterator[dict[str, list[Writer]]]:
    """Eight processes of each kind, connected, that wait for their turn."""
    writers = {kind: [_writer(kind, uri, number) for number in range(WRITERS)] for kind in KINDS}
    everybody = [writer for each in writers.values() for writer in each]
    try:
        for writer in everybody:
            _line(writer)
        yield writers
    finally:
        for writer in everybody:
            writer.communicate()


def _writer(kind: str, uri: str, number: int) -> Writer:
    command = [sys.executable, "-m", "benchmarks.flushes", kind, uri, str(number)]
    return subprocess.Popen(  # noqa: S603 - ourselves
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True
    )


def _line(writer: Writer) -> str:
    assert writer.stdout is not None
    return writer.stdout.readline()


def _rounds(writers: Mapping[str, Sequence[Writer]]) -> Rates:
    rates: Rates = {kind: [] for kind in KINDS}
    for _ in range(ROUNDS):
        for kind in KINDS:
            rates[kind].append(_turn(writers[kind]))
    return rates


def _turn(writers: Sequence[Writer]) -> float:
    """Appends a second of all these together."""
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    return sum(float(_line(writer)) for writer in writers)


def _append(kind: str, uri: str, writer: str) -> Callable[[int], object]:
    state = b'{"time":"2026-01-01T00:00:00Z","actor":{"kind":"host","id":"bench"},"data":{}}' * 2
    if kind == "ours":
        twinlock = build(_settings(uri))
        context = twinlock.context(Actor("host", "bench"), "bench")
        return lambda n: twinlock.store.append(
            context, (MemberMFA(f"{writer}-{n}"), [Registered()])
        )
    if kind == "bare insert":
        connection = psycopg.connect(uri, autocommit=True)
        return lambda n: connection.execute(BARE, (f"member/{writer}-{n}", 1, TOPIC, state))
    library = _library(uri)  # which closes its pool when nobody holds it
    return lambda n: library.recorder.insert_events(
        [StoredEvent(f"member/{writer}-{n}", 1, TOPIC, state)]
    )


def _write(kind: str, uri: str, writer: str) -> None:
    """Append for a while at each line that is read, and say how many a second it were."""
    append, numbers = _append(kind, uri, writer), count()
    for _ in range(20):
        append(next(numbers))
    print("ready", flush=True)
    for _ in sys.stdin:
        done, begun = 0, time.perf_counter()
        while time.perf_counter() - begun < SECONDS:
            append(next(numbers))
            done += 1
        print(done / (time.perf_counter() - begun), flush=True)


if __name__ == "__main__":
    _write(*sys.argv[1:4])
    os._exit(0)
