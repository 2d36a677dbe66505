"""The ground that faults are injected into: database, broker, mail server, a whole Twinlock."""

import os
import secrets
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
from pydantic import SecretStr

from projections.models import MODELS
from projections.progress import visible
from tests.faults.journal import Journal
from tests.faults.load import Browser, Load
from tests.faults.people import People, settled
from tests.faults.tarpit import Tarpit, open_tarpit
from tests.flow.client import Client
from tests.flow.installation import ROOT, Installation, installed
from tests.support.parts import temporary_folder
from twinlock.composition import Twinlock, build
from twinlock.dev import child
from twinlock.dev.kafka import KafkaBroker
from twinlock.dev.ports import LOOPBACK, free_port
from twinlock.dev.postgres import Postgres
from twinlock.settings import Settings
from workers import mail_queue, member_states

LATE: Final = 120.0
"""Seconds after which a read model that is still behind counts as stuck."""
FAILING: Final = (sys.executable, "-m", "twinlock.dev.failing")


@dataclass
class Ground:
    """One whole installation, and what its faults are judged by."""

    here: Installation
    postgres: Postgres
    broker: KafkaBroker | None
    topic: str
    twinlock: Twinlock
    people: People
    load: Load
    journal: Journal
    plan: Path
    postbox: Tarpit

    def serve(self, name: str = "serve", **more: str) -> str:
        """Serve under failpoints, where wanted with more in the environment; the address."""
        http = more.get("TWINLOCK_HTTP") or self.here.env["TWINLOCK_HTTP"]
        self._start(name, ["--again", "serve"], more)
        wait_until_open(http)
        return http

    def work(self, name: str, *words: str) -> None:
        """Run a worker under failpoints; it is forked anew whenever it is killed."""
        self._start(name, ["--again", "worker", *(words or (name,))], {})

    def _start(self, name: str, words: list[str], more: dict[str, str]) -> None:
        env = {**self.here.env, "PYTHONPATH": str(ROOT), **more}
        self.here.processes[name] = child.start(
            [*FAILING, *words], log=self.here.logs / f"{name}.log", env=env, cwd=self.here.folder
        )

    def kill(self, name: str) -> None:
        """End a process and its children as a crash would."""
        for pid in reversed(descendants(self.here.processes[name].pid)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.here.processes.pop(name).wait()

    def fail(self, place: str, chance: float) -> None:
        """From now on something happens at this place."""
        self.plan.write_text(f"{place} {chance}\n")

    def fail_until(self, place: str, chance: float, count: int, seconds: float) -> int:
        """Let faults happen until there were so many; answers how many."""
        before, deadline = self.faults(), time.monotonic() + seconds
        self.fail(place, chance)
        while self.faults() - before < count and time.monotonic() < deadline:
            time.sleep(0.05)
        self.well()
        return self.faults() - before

    def well(self) -> None:
        """No more faults."""
        self.plan.write_text("")

    def faults(self) -> int:
        """How many have happened at failpoints."""
        tally = self.plan.with_suffix(".tally")
        return len(tally.read_text().splitlines()) if tally.exists() else 0

    def settle(self, *, mails: bool = True) -> float:
        """Wait until all that was appended is applied everywhere; how many seconds it took."""
        begun = time.monotonic()
        with patient(self.twinlock) as connection:
            head = self.twinlock.store.head()
            models = [*MODELS, mail_queue.MODEL] if mails else MODELS
            while late := self._late(connection, [model.key for model in models], head):
                if time.monotonic() - begun > LATE:
                    raise TimeoutError(f"{late} have not come to position {head}")
                time.sleep(0.05)
        return time.monotonic() - begun

    def _late(self, connection: psycopg.Connection[Any], models: list[str], head: int) -> list[str]:
        late = [model for model in models if not visible(connection, model, head)]
        if self.twinlock.settings.kafka:
            query = "SELECT FROM progress WHERE model = %s AND position >= %s"
            if not connection.execute(query, (member_states.MODEL, head)).fetchall():
                late.append(member_states.MODEL)
        return late


@contextmanager
def patient(twinlock: Twinlock) -> Iterator[psycopg.Connection[Any]]:
    """A connection, as soon as the database gives one."""
    with _connected(twinlock) as connection:
        while True:  # the pool finds the server again on its own
            with suppress(Exception):
                twinlock.store.head()
                break
            time.sleep(0.1)
        yield connection


def _connected(twinlock: Twinlock) -> psycopg.Connection[Any]:
    deadline = time.monotonic() + 30
    while True:
        try:
            return twinlock.connect()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@contextmanager
def ground(
    *,
    kafka: bool = True,
    bound: int = 800,
    unbound: int = 40,
    folder: Path | None = None,
    bootstrap: str | None = None,
) -> Iterator[Ground]:
    """Lend a fresh ground; `folder` holds the database's, `bootstrap` names brokers that run."""
    with ExitStack() as stack:
        home = stack.enter_context(temporary_folder())
        postgres = Postgres((folder or home) / "postgres")
        stack.callback(postgres.stop)
        uri = postgres.start()
        broker = KafkaBroker(home / "kafka") if kafka and bootstrap is None else None
        if broker is not None:
            stack.callback(broker.stop)
            bootstrap = broker.start()
        postbox = stack.enter_context(open_tarpit())
        plan, topic = home / "plan", f"faults.{secrets.token_hex(4)}"
        more = {"FAILPOINTS": str(plan), "KAFKA": bootstrap or "", "TOPIC": topic}
        place = home / "twinlock"
        place.mkdir()
        here = stack.enter_context(installed(place, uri, postbox, workers=(), **more))
        here.stop("serve")
        twinlock = stack.enter_context(_built(here))
        people, journal = settled(twinlock, bound, unbound), Journal()
        load = Load(Browser([here.setting("HTTP")], journal), here.tokens["host"], people, journal)
        made = Ground(here, postgres, broker, topic, twinlock, people, load, journal, plan, postbox)
        made.well()
        made.serve()
        for name in ("relay", "project", "mail") if bootstrap else ("project", "mail"):
            made.work(name)
        made.settle()
        yield made


@contextmanager
def _built(here: Installation) -> Iterator[Twinlock]:
    given = {
        name.removeprefix("TWINLOCK_").lower(): value
        for name, value in here.env.items()
        if name.startswith("TWINLOCK_")
    }
    given.pop("failpoints")
    secret = {name: SecretStr(given.pop(name)) for name in ("database", "master_key")}
    twinlock = build(Settings(_env_file=None, **given, **secret))  # type: ignore[call-arg, arg-type]
    try:
        yield twinlock
    finally:
        twinlock.close()


def descendants(pid: int) -> list[int]:
    """A process and all that came of it."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []
    return [pid, *(each for child_ in children for each in descendants(int(child_)))]


def wait_until_open(address: str, seconds: float = 30) -> None:
    """Wait until a server says that it is ready."""
    client, deadline = Client(address, timeout=3), time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(OSError):
            if client.get("/readyz").status == 200:
                return
        time.sleep(0.05)
    raise TimeoutError(f"nothing is served at {address}")


def another_address() -> str:
    """A free address of this machine."""
    return f"{LOOPBACK}:{free_port()}"
