"""Appends of eight writers on a disk whose flushes take 2 ms, against the library's recorder."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
from eventsourcing.application import Application
from eventsourcing.persistence import StoredEvent
from psycopg.conninfo import conninfo_to_dict

from benchmarks.figures import Figure, Findings, Plot
from benchmarks.ground import ROOT
from domain.facts import Actor
from domain.member_facts import Registered
from domain.member_mfa import MemberMFA
from twinlock.composition import build
from twinlock.dev import postgres
from twinlock.settings import Settings

WRITERS: Final = 8
SECONDS: Final = 4.0
SHIM: Final = """
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <unistd.h>
int fsync(int fd) { usleep(2000); return syscall(SYS_fsync, fd); }
int fdatasync(int fd) { usleep(2000); return syscall(SYS_fdatasync, fd); }
"""
HOW: Final = (
    "The disk is simulated: PostgreSQL runs behind a library that sleeps 2 ms in every "
    "fsync and fdatasync, and then makes the real one. Eight processes append one event after "
    "another for {seconds:.0f} s, each to streams of its own."
)
KEY: Final = "k1:" + "A" * 43 + "="
"""A master key that guards nothing: no secret is sealed here."""
KINDS: Final = ("bare insert", "library's recorder", "ours")


def measure() -> Findings:
    """Appends a second of each kind; without a C compiler, a sentence instead."""
    if shutil.which("cc") is None:
        how = "Skipped: there is no C compiler to make the simulated disk with."
        return Findings("flushes", "A disk with 2 ms flushes", how, [])
    with _slow_disk() as uri:
        rates = {kind: _rate(kind, uri) for kind in KINDS}
    ratio = rates["ours"] / rates["library's recorder"]
    figure = Figure(
        f"appends, {WRITERS} writers, 2 ms flushes",
        f"{rates['ours']:,.0f}/s",
        f"library's recorder {rates[KINDS[1]]:,.0f}/s, bare insert {rates[KINDS[0]]:,.0f}/s",
        f"{ratio:.1f} times the library's",
        "at least 5 times",
        ratio >= 5,
    )
    title = "Appends of eight writers, flushes of 2 ms"
    plot = Plot("flushes", title, "a second", list(KINDS), {"appends": list(rates.values())})
    how = HOW.format(seconds=SECONDS)
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
        connection.execute("create table bare_appends (id text, at bigint, body bytea)")


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


def _rate(kind: str, uri: str) -> float:
    """Appends a second of all writers together."""
    command = [sys.executable, "-m", "benchmarks.flushes", kind, uri]
    writers = [
        subprocess.Popen(  # noqa: S603 - ourselves
            [*command, str(number)], stdout=subprocess.PIPE, cwd=ROOT, text=True
        )
        for number in range(WRITERS)
    ]
    return sum(float(writer.communicate()[0]) for writer in writers)


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
        query = "insert into bare_appends values (%s, %s, %s)"
        return lambda n: connection.execute(query, (f"{writer}-{n}", 1, state))
    library = _library(uri)  # which closes its pool when nobody holds it
    return lambda n: library.recorder.insert_events(
        [StoredEvent(f"member/{writer}-{n}", 1, "mfa.registered.v1", state)]
    )


def _write(kind: str, uri: str, writer: str) -> float:
    """Appends a second of this writer, after a second in which all get ready."""
    append = _append(kind, uri, writer)
    for number in range(20):
        append(number)
    time.sleep(1)
    number, begun = 20, time.perf_counter()
    while time.perf_counter() - begun < SECONDS:
        append(number)
        number += 1
    return (number - 20) / (time.perf_counter() - begun)


if __name__ == "__main__":
    print(_write(*sys.argv[1:4]), flush=True)
    os._exit(0)
