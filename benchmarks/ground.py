"""The ground of a measurement: PostgreSQL, broker and servers of its own, gone when it ends."""

import base64
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from twinlock.composition import Twinlock, build
from twinlock.dev import child
from twinlock.dev.kafka import KafkaBroker
from twinlock.dev.ports import LOOPBACK, free_port, listens
from twinlock.dev.postgres import Postgres
from twinlock.settings import Settings

ROOT = Path(__file__).parents[1]
TWINLOCK = str(ROOT / "bin/twinlock")
READY_SECONDS = 180
TICKS = os.sysconf("SC_CLK_TCK")
BARE_ROWS = b"""
create table if not exists bare_rows (id bigserial primary key, body text not null);
insert into bare_rows (body) select 'a row of about a hundred bytes ' || repeat('.', 70)
    from generate_series(1, 10000) where not exists (select from bare_rows)
"""


@dataclass
class Ground:
    """A migrated database, the settings of its Twinlock, and the processes under way on it."""

    folder: Path
    env: Mapping[str, str]
    twinlock: Twinlock
    postgres: Postgres
    http: str
    bare: str
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, *command: str, **more: str) -> subprocess.Popen[bytes]:
        """Start a process under a name, with `more` in its environment."""
        process = child.start(
            command, log=self.folder / f"{name}.log", env={**self.env, **more}, cwd=ROOT
        )
        self.processes[name] = process
        return process

    def stop(self, *names: str) -> None:
        """End these processes, or all."""
        for name in names or list(self.processes):
            child.stop(self.processes.pop(name), within=12)

    def serve(self) -> None:
        """Serve Twinlock as its operator does."""
        self.start("serve", TWINLOCK, "serve")
        reachable(self.http)

    def serve_bare(self) -> None:
        """Serve the bare views under the same server with the same settings."""
        with self.twinlock.connect() as connection:
            connection.execute(BARE_ROWS)
        self.start("bare", sys.executable, "-m", "benchmarks.bare", self.bare)
        reachable(self.bare)

    def cpu(self) -> float:
        """Seconds of processor time that the servers and the database have used so far."""
        assert self.postgres.process is not None
        mains = [*self.processes.values(), self.postgres.process]
        return sum(_cpu(pid) for main in mains for pid in descendants(main.pid))

    def token(self, *words: str) -> str:
        """An API token, made by the command line."""
        command = [TWINLOCK, "token", "create", "--name", "bench", *words]
        done = subprocess.run(  # noqa: S603 - our own program
            command, env=dict(self.env), capture_output=True, text=True, check=True, cwd=ROOT
        )
        return done.stdout.strip()


@contextmanager
def ground(*, kafka: bool = False, env: Mapping[str, str] | None = None) -> Iterator[Ground]:
    """Lend a fresh ground, with a broker where it is asked for."""
    with tempfile.TemporaryDirectory(prefix="twinlock-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        postgres = Postgres(folder / "postgres")
        broker = KafkaBroker(folder / "kafka") if kafka else None
        try:
            postgres.start()
            bootstrap = broker.start() if broker else ""
            yield from _opened(folder, postgres, bootstrap, env or {})
        finally:
            if broker:
                broker.stop()
            postgres.stop()


def _opened(
    folder: Path, postgres: Postgres, bootstrap: str, more: Mapping[str, str]
) -> Iterator[Ground]:
    http, bare = f"{LOOPBACK}:{free_port()}", f"{LOOPBACK}:{free_port()}"
    given = {
        "DATABASE": postgres.uri,
        "KAFKA": bootstrap,
        "HTTP": http,
        "PUBLIC_URL": f"http://{http}",
        "MASTER_KEY": f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}",
        **more,
    }
    kept = {word: os.environ[word] for word in ("PATH", "HOME", "LANG") if word in os.environ}
    env = {**kept, **{f"TWINLOCK_{word}": value for word, value in given.items()}}
    settings = Settings(_env_file=None, **{word.lower(): v for word, v in given.items()})  # type: ignore[call-arg, arg-type]
    twinlock = build(settings)
    twinlock.migrate()
    here = Ground(folder, env, twinlock, postgres, http, bare)
    try:
        yield here
    finally:
        here.stop()
        twinlock.close()


def descendants(pid: int) -> list[int]:
    """A process and all that it started."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return []
    return [pid, *(one for child_pid in children for one in descendants(int(child_pid)))]


def _cpu(pid: int) -> float:
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(words[11]) + int(words[12])) / TICKS


def reachable(address: str) -> None:
    """Wait until somebody listens there."""
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + READY_SECONDS
    while not listens(host, int(port)):
        if time.monotonic() > deadline:
            raise TimeoutError(f"nobody listens at {address}")
        time.sleep(0.05)
