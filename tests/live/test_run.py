"""`make run` brings everything up, says so last, and takes everything down again.

Twinlock's own processes are stand-ins here: this is about who is started, watched and stopped.
"""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.parts import temporary_folder
from twinlock.dev.ports import free_port, listens, split_address

pytestmark = pytest.mark.live

ROOT = Path(__file__).parents[2]
STAND_IN = f"""#!{sys.executable}
import http.server, json, os, sys, time

class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

match sys.argv[1:]:
    case ["migrate"]:
        assert not os.path.exists(".env")
    case ["demo", "seed"]:
        members = [{{"member_id": "m", "email": "m@example.com", "role": "owner", "bound": True}}]
        print(json.dumps({{"tokens": {{"host": "t"}}, "workspace_id": "w", "members": members}}))
    case ["serve"]:
        host, port = os.environ["TWINLOCK_HTTP"].split(":")
        http.server.HTTPServer((host, int(port)), Page).serve_forever()
    case ["worker"]:
        open("worker.pid", "w").write(str(os.getpid()))
        time.sleep(1000)
"""


@dataclass
class Running:
    """A run in a folder of its own."""

    folder: Path
    http: str
    process: subprocess.Popen[str]

    def facts(self) -> dict[str, Any]:
        """Wait for var/run.json, and read it."""
        file = self.folder / "var/run.json"
        deadline = time.monotonic() + 120
        while not file.exists():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        found: dict[str, Any] = json.loads(file.read_text())
        return found

    def ends(self) -> tuple[int, str]:
        """Wait for the end; answer the status and the last line that was said."""
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, (err or out).strip().splitlines()[-1]


def start(folder: Path, http: str, **others: str) -> Running:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-m", "twinlock.dev.run"],
        cwd=folder,
        env=kept | {"TWINLOCK_HTTP": http} | others,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return Running(folder, http, process)


def address(uri: str) -> tuple[str, int]:
    return split_address(uri.partition("//")[2].rpartition("@")[2].partition("/")[0])


@pytest.fixture
def checkout() -> Iterator[Path]:
    """A folder like a checkout, with stand-ins."""
    with temporary_folder() as folder:
        (folder / "twinlock").symlink_to(ROOT / "twinlock")
        (folder / "Makefile").symlink_to(ROOT / "Makefile")
        (folder / "bin").mkdir()
        (folder / "bin/twinlock").write_text(STAND_IN)
        (folder / "bin/twinlock").chmod(0o700)
        yield folder


@pytest.fixture
def running(checkout: Path) -> Iterator[Running]:
    (checkout / ".env").write_text("TWINLOCK_KAFKA=127.0.0.1:1\n")
    run = start(checkout, f"127.0.0.1:{free_port()}")
    yield run
    if run.process.poll() is None:
        run.process.terminate()
        run.process.communicate(timeout=60)


def test_a_run_says_where_everything_is(running: Running) -> None:
    facts = running.facts()
    assert facts["base_url"] == f"http://{running.http}"
    assert (facts["kafka"], facts["log"]) == (None, "embedded")
    assert facts["workspace_id"] == "w"
    with psycopg.connect(facts["database"]) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert listens(*address(facts["mailbox_url"]))


@pytest.mark.parametrize(
    ("line", "database"),
    [
        ("TWINLOCK_DATABASE=postgresql://production", "none"),
        ("export twinlock_database = postgresql://production", "none"),
        ("#TWINLOCK_DATABASE=postgresql://production", "demonstration"),
        ("TWINLOCK_ISSUER=Shop", "demonstration"),
    ],
)
def test_a_command_leaves_the_database_to_the_env_file_that_names_one(
    checkout: Path, line: str, database: str
) -> None:
    (checkout / "var").mkdir()
    (checkout / "var/run.env").write_text("TWINLOCK_DATABASE=demonstration\n")
    (checkout / ".venv/bin").mkdir(parents=True)
    python = checkout / ".venv/bin/python"
    python.write_text('#!/bin/sh\necho "${TWINLOCK_DATABASE:-none}"\n')
    python.chmod(0o700)
    (checkout / ".env").write_text(f"{line}\n")
    shutil.copy(ROOT / "bin/twinlock", checkout / "bin/twinlock")
    env = {"PATH": os.environ["PATH"]}
    ran = subprocess.run(["bin/twinlock", "doctor"], cwd=checkout, env=env, capture_output=True)
    assert ran.stdout.decode().strip() == database


def test_what_a_run_writes_is_for_its_owner_alone(running: Running) -> None:
    running.facts()
    var = running.folder / "var"
    open_files = [f for f in var.iterdir() if f.is_file() and f.stat().st_mode & 0o077]
    assert open_files == []
    assert var.stat().st_mode & 0o066 == 0
    assert (var / "master.key").read_text().startswith("k1:")


def test_a_run_stops_in_time_and_leaves_nobody_behind(running: Running) -> None:
    facts = running.facts()
    asked = time.monotonic()
    running.process.send_signal(signal.SIGTERM)
    assert running.ends()[0] == 0
    assert time.monotonic() - asked < 20  # ten seconds, and as many again for a busy machine
    for uri in (facts["base_url"], facts["mailbox_url"], facts["database"]):
        assert not listens(*address(uri)), uri
    assert not (running.folder / "var/run.json").exists()


def clean(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "-C", str(folder), "clean", f"PYTHON={sys.executable}", "CODE=.", *more]
    return subprocess.run(command, capture_output=True, text=True)


def test_clean_waits_for_the_end_of_a_run(checkout: Path) -> None:
    (checkout / "var").mkdir()
    with (checkout / "var/run.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused = clean(checkout)
    assert "var/ stays: This checkout runs already; stop that run first\n" in refused.stderr
    assert (checkout / "var").exists()
    assert clean(checkout).returncode == 0
    assert not (checkout / "var").exists()
    assert clean(checkout).returncode == 0


def test_clean_says_why_it_cannot_look(checkout: Path) -> None:
    (checkout / "var/run.lock").mkdir(parents=True)
    refused = clean(checkout)
    assert "not whole: [Errno 21] Is a directory" in refused.stderr
    assert (checkout / "var").exists()


def test_clean_leaves_a_folder_that_is_a_link(checkout: Path) -> None:
    (checkout / "disk/postgres").mkdir(parents=True)
    (checkout / "var").symlink_to(checkout / "disk")
    assert clean(checkout).stderr.startswith("var/ stays: it is a link")
    assert (checkout / "disk/postgres").exists()


@pytest.mark.parametrize("ours", [True, False])
def test_clean_removes_what_stands_in_for_its_own_folder(checkout: Path, ours: bool) -> None:
    owner = checkout / "var/postgres" if ours else checkout / "another/var/postgres"
    (checkout / "elsewhere/data").mkdir(parents=True)
    (checkout / "elsewhere/stands-in-for").write_text(str(owner))
    (checkout / "var/postgres").mkdir(parents=True)
    (checkout / "var/postgres/elsewhere").symlink_to(checkout / "elsewhere")
    assert clean(checkout).returncode == 0
    assert (checkout / "elsewhere").exists() is not ours
    assert not (checkout / "var").exists()


def test_clean_spares_the_only_key_to_a_database_that_is_not_in_var(checkout: Path) -> None:
    database = "postgresql://u:marked-secret@127.0.0.1:1/none"
    run = start(checkout, f"127.0.0.1:{free_port()}", TWINLOCK_DATABASE=database)
    assert run.facts()["database"] == database
    run.process.terminate()
    assert run.ends()[0] == 0
    key = (checkout / "var/master.key").read_text()
    refused = clean(checkout)
    (said, failed) = refused.stderr.splitlines()
    assert (said.startswith("var/ stays: "), said.endswith("make clean FORCE=1")) == (True, True)
    assert "Makefile" in failed
    assert (checkout / "var/master.key").read_text() == key
    assert clean(checkout, "FORCE=1").returncode == 0
    assert not (checkout / "var").exists()


def test_a_run_that_is_killed_leaves_nobody_behind(running: Running) -> None:
    facts = running.facts()
    running.process.kill()
    running.process.communicate(timeout=60)
    addresses = [address(facts["base_url"]), address(facts["database"])]
    deadline = time.monotonic() + 60
    while any(listens(*a) for a in addresses) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(listens(*a) for a in addresses)


def test_the_death_of_a_part_ends_the_run_and_is_named(running: Running) -> None:
    running.facts()
    deadline, file = time.monotonic() + 60, running.folder / "var/worker.pid"
    while not file.exists() or not file.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(int(file.read_text()), signal.SIGKILL)
    status, line = running.ends()
    assert status == 1
    assert line.startswith("twinlock worker ended; its log is ")


def test_data_and_key_outlive_the_run(running: Running) -> None:
    with psycopg.connect(running.facts()["database"]) as connection:
        connection.execute("CREATE TABLE kept ()")
    key = (running.folder / "var/master.key").read_text()
    running.process.send_signal(signal.SIGINT)
    assert running.ends()[0] == 0

    again = start(running.folder, running.http)
    running.process = again.process
    with psycopg.connect(again.facts()["database"]) as connection:
        connection.execute("SELECT FROM kept")
    assert (running.folder / "var/master.key").read_text() == key


def test_a_second_run_in_the_same_checkout_is_refused(running: Running) -> None:
    running.facts()
    other = start(running.folder, f"127.0.0.1:{free_port()}")
    assert other.ends() == (1, "This checkout runs already; stop that run first")
    assert (running.folder / "var/run.json").exists()


def test_a_taken_port_is_said_with_the_mend(running: Running) -> None:
    running.facts()
    with temporary_folder() as folder:
        (folder / "twinlock").symlink_to(ROOT / "twinlock")
        status, line = start(folder, running.http).ends()
    assert status == 1
    assert f"{running.http} is taken" in line
    assert "make run TWINLOCK_HTTP=" in line
