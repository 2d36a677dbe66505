"""`make run`: a whole Twinlock with its database, log and mailbox, all of it under var/."""

import base64
import json
import os
import secrets
import shlex
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from twinlock.dev import child
from twinlock.dev.kafka import KafkaBroker
from twinlock.dev.mailbox import Mailbox
from twinlock.dev.missing import CannotStart
from twinlock.dev.ports import free_port, is_taken, split_address
from twinlock.dev.postgres import Postgres
from twinlock.dev.var import MASTER_KEY, OUTSIDE, VAR, only_run
from twinlock.dev.welcome import welcome

ROOT = Path(__file__).parents[2]
LOGS = VAR / "log"
TWINLOCK = str(ROOT / "bin/twinlock")
HOST_APP = ROOT / "examples/host_app.py"
READY_SECONDS = 60
# Together under the ten seconds in which everything has to be down.
TWINLOCK_STOPS, BROKER_STOPS, DATABASE_STOPS = 6, 2, 1.5


def main() -> None:
    """Run until Ctrl-C, SIGTERM or the death of a part; status 1 with one line for a failure."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    os.umask(0o077)
    try:
        with ExitStack() as parts:
            Run(parts, ended).go()
    except CannotStart as error:
        sys.exit(str(error))


class Run:
    """One run: its parts are stopped by the stack, the last one first."""

    def __init__(self, parts: ExitStack, ended: threading.Event) -> None:
        self._parts = parts
        self._ended = ended
        self._alive: dict[str, Callable[[], bool]] = {}
        self._http = os.environ.get("TWINLOCK_HTTP") or "127.0.0.1:8080"
        self._url = f"http://{self._http}"

    def go(self) -> None:
        """Start the parts one after the other, say so, and watch them."""
        steps = (self._claim, self._start_parts, self._start_twinlock, self._watch)
        for step in steps:
            if self._ended.is_set():
                return
            step()

    def _claim(self) -> None:
        """Take the folder and the port, or refuse."""
        VAR.mkdir(exist_ok=True, mode=0o700)
        # As root the database runs as nobody, who has to pass through here, but not to look.
        VAR.chmod(0o711 if os.geteuid() == 0 else 0o700)
        self._parts.enter_context(only_run())
        self._parts.callback(_forget_run)
        _forget_run()
        try:
            host, port = split_address(self._http)
        except ValueError:
            raise CannotStart(f"TWINLOCK_HTTP is not host:port: {self._http}") from None
        if is_taken(host, port):
            free = f"make run TWINLOCK_HTTP={host}:{port + 1}"
            raise CannotStart(f"{self._http} is taken or not ours; choose another: {free}")

    def _start_parts(self) -> None:
        self._database = _given_database() or self._start_postgres()
        self._kafka = os.environ.get("TWINLOCK_KAFKA") or self._start_kafka()
        self._mailbox = self._parts.enter_context(Mailbox())

    def _start_postgres(self) -> str:
        server = Postgres(VAR / "postgres", log=LOGS / "postgres.log")
        self._parts.callback(lambda: server.stop(within=DATABASE_STOPS))
        uri = _database(server.start(), "twinlock")
        self._expect("PostgreSQL", lambda: server.process, server.log)
        return uri

    def _start_kafka(self) -> str:
        if os.environ.get("KAFKA", "0") in ("", "0"):
            return ""
        broker = KafkaBroker(VAR / "kafka", log=LOGS / "kafka.log")
        self._parts.callback(lambda: broker.stop(within=BROKER_STOPS))
        bootstrap = broker.start()
        self._expect("Kafka", lambda: broker.process, broker.log)
        return bootstrap

    def _start_twinlock(self) -> None:
        env = self._settings()
        _write_private(VAR / "run.env", _as_shell(env))
        _once("migrate", env=env)
        seeded = json.loads(_once("demo", "seed", env=env))
        processes = [self._start(name, env) for name in ("serve", "worker")]
        self._parts.callback(lambda: _stop_together(processes))
        if not self._wait_until_ready():
            return
        host = self._start_host(seeded["tokens"]["host"], processes)
        facts = self._facts() | seeded | host
        _write_private(VAR / "run.json", json.dumps(facts, indent=2) + "\n")
        welcome(facts)

    def _start(self, name: str, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        log = LOGS / f"{name}.log"
        process = child.start([TWINLOCK, name], log=log, env=os.environ | env, cwd=VAR)
        self._expect(f"twinlock {name}", lambda: process, log)
        return process

    def _start_host(self, token: str, processes: list[subprocess.Popen[bytes]]) -> dict[str, str]:
        """The example application, for which nobody waits; nothing where there is none."""
        if not HOST_APP.exists():
            return {}
        host, port = split_address(self._http)
        beside = port + 1 if port < 65535 and not is_taken(host, port + 1) else free_port()
        listen = f"{self._http.rpartition(':')[0]}:{beside}"
        env = {"TWINLOCK_URL": self._url, "TWINLOCK_HOST_TOKEN": token, "HOST_APP": listen}
        command = [sys.executable, str(HOST_APP)]
        log = LOGS / "host_app.log"
        processes.append(child.start(command, log=log, env=os.environ | env, cwd=ROOT))
        return {"host_app_url": f"http://{listen}"}

    def _settings(self) -> dict[str, str]:
        """The settings of the processes, which run in var/: a `.env` beside it is for others."""
        return {
            "TWINLOCK_DATABASE": self._database,
            "TWINLOCK_KAFKA": self._kafka,
            "TWINLOCK_SMTP": self._mailbox.smtp,
            "TWINLOCK_MAIL_FROM": "twinlock@example.com",
            "TWINLOCK_HTTP": self._http,
            "TWINLOCK_PUBLIC_URL": os.environ.get("TWINLOCK_PUBLIC_URL") or self._url,
            "TWINLOCK_MASTER_KEY": "",  # one from the environment would fit other data
            "TWINLOCK_MASTER_KEY_FILE": str(_master_key()),
            "TWINLOCK_ISSUER": os.environ.get("TWINLOCK_ISSUER") or "Twinlock",
            "TWINLOCK_CHECKPOINT_FILE": str(VAR / "checkpoints"),
            "TWINLOCK_STAFF_WORKSPACE": "staff",
            "TWINLOCK_DEMO": "true",
        }

    def _facts(self) -> dict[str, Any]:
        return {
            "base_url": self._url,
            "mailbox_url": self._mailbox.url,
            "database": self._database,
            "kafka": self._kafka or None,
            "log": "kafka" if self._kafka else "embedded",
        }

    def _expect(
        self, name: str, process: Callable[[], subprocess.Popen[bytes] | None], log: Path
    ) -> None:
        """Watch a process from now on."""
        self._alive[f"{name} ended; its log is {log}"] = lambda: (
            (running := process()) is not None and running.poll() is None
        )

    def _check_alive(self) -> None:
        for complaint, alive in self._alive.items():
            if not alive():
                raise CannotStart(complaint)

    def _wait_until_ready(self) -> bool:
        deadline = time.monotonic() + READY_SECONDS
        while not self._ended.is_set():
            self._check_alive()
            if _answers(f"{self._url}/readyz"):
                return True
            if time.monotonic() > deadline:
                raise CannotStart(f"Twinlock is not ready; its logs are in {LOGS}")
            self._ended.wait(0.1)
        return False

    def _watch(self) -> None:
        while not self._ended.wait(0.3):
            self._check_alive()
        print("Stopping", flush=True)


def _forget_run() -> None:
    """Remove what is true only of a run that is up."""
    for name in ("run.json", "run.env"):
        (VAR / name).unlink(missing_ok=True)


def _given_database() -> str:
    """Answer the database that was named, or nothing; `make clean` then spares the key to it."""
    given = os.environ.get("TWINLOCK_DATABASE", "")
    if given:
        OUTSIDE.touch()
    return given


def _database(cluster: str, name: str) -> str:
    """Answer the URI of the database of this name, made if need be."""
    with psycopg.connect(cluster, autocommit=True) as connection:
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name])
        if known.fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return urlunsplit(urlsplit(cluster)._replace(path=f"/{name}"))


def _master_key() -> Path:
    """Answer the file of the master key, made at the first run: losing it loses every secret."""
    if not MASTER_KEY.exists():
        key = base64.b64encode(secrets.token_bytes(32)).decode()
        _write_private(MASTER_KEY, f"k1:{key}\n")
    return MASTER_KEY


def _write_private(file: Path, content: str) -> None:
    """Write a file of ours alone, all at once."""
    fresh = file.with_name(f"{file.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(content)
    fresh.replace(file)


def _as_shell(env: Mapping[str, str]) -> str:
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in env.items())


def _once(*arguments: str, env: Mapping[str, str]) -> str:
    """Run a command of Twinlock to its end and answer what it printed."""
    name = "-".join(arguments)
    log = LOGS / f"{name}.log"
    log.parent.mkdir(exist_ok=True, mode=0o700)
    with log.open("ab") as sink:
        done = subprocess.run(
            [TWINLOCK, *arguments],
            env=os.environ | env,
            cwd=VAR,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=sink,
            start_new_session=True,
            check=False,
        )
    if done.returncode != 0:
        raise CannotStart(f"twinlock {' '.join(arguments)} failed; its log is {log}")
    return done.stdout.decode()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _stop_together(processes: list[subprocess.Popen[bytes]]) -> None:
    """Ask all at once, then wait for each."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + TWINLOCK_STOPS
    for process in processes:
        child.stop(process, within=max(0.1, deadline - time.monotonic()))


if __name__ == "__main__":
    main()
