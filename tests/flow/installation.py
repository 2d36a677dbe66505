"""A whole Twinlock as its operator runs it: processes, environment variables, nothing else."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.flow.client import Client, Reply
from tests.flow.postbox import Postbox
from tests.support.built import a_master_key
from twinlock.dev import child
from twinlock.dev.ports import LOOPBACK, free_port

ROOT = Path(__file__).parents[2]
TWINLOCK = ROOT / "bin/twinlock"
READY_SECONDS = 120
ALL = ("relay", "project", "mail")
TOKENS: Mapping[str, Sequence[str]] = {
    "host": (),
    "support": ("--member", "agent-a"),
    "other_support": ("--member", "agent-b"),
    "auditor": (),
}


@dataclass
class Installation:
    """The processes of a Twinlock on a database of its own, and what its operator knows.

    Processes are started and ended by the test's own thread: they die with the thread that
    started them.
    """

    folder: Path
    env: Mapping[str, str]
    client: Client
    postbox: Postbox
    tokens: dict[str, str] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where it is served."""
        return self.setting("PUBLIC_URL")

    @property
    def logs(self) -> Path:
        """The folder of its log files."""
        return self.folder / "log"

    @property
    def counters(self) -> Path:
        """The folder in which each API process keeps its counters."""
        return self.folder / "counters"

    def setting(self, name: str) -> str:
        """What a setting was given."""
        return self.env[f"TWINLOCK_{name}"]

    def run(self, *words: str) -> str:
        """Run a command to its end; what it printed, without the line's end."""
        done = subprocess.run(
            [TWINLOCK, *words], env=self.env, cwd=self.folder, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        with (self.logs / "commands.log").open("a") as log:
            log.write(done.stderr)
        return done.stdout.strip()

    def start(self, name: str, *words: str) -> None:
        """Start a process under a name; it logs into a file of that name."""
        log = self.logs / f"{name}.log"
        command = [str(TWINLOCK), *words]
        self.processes[name] = child.start(command, log=log, env=self.env, cwd=self.folder)

    def start_workers(self, *names: str) -> None:
        """Start these workers, each as a process of its own."""
        for name in names:
            self.start(name, "worker", name)

    def stop(self, name: str) -> int:
        """Ask a process to end; its status."""
        process = self.processes.pop(name)
        child.stop(process, within=12)
        return process.returncode

    def kill(self, name: str) -> None:
        """End a process as a crash would."""
        process = self.processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def freeze(self, name: str) -> None:
        """Let a process hang, until `thaw`."""
        self.processes[name].send_signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let it go on."""
        self.processes[name].send_signal(signal.SIGCONT)

    def as_host(self, method: str, path: str, body: object = None) -> Reply:
        """A call of the host application that has to succeed."""
        reply = self.client.call(method, path, self.tokens["host"], body)
        assert reply.status in (200, 201, 204), reply.raw
        return reply

    def settle(self, position: int, seconds: float = 60) -> None:
        """Wait until every read model has applied the position."""
        deadline = time.monotonic() + seconds
        lists = {"audit": "auditor", "tickets": "support"}
        for name, role in lists.items():
            path = f"/v1/{name}?limit=1&at_least={position}"
            while (reply := self.client.get(path, self.tokens[role])).status == 503:
                assert time.monotonic() < deadline, "a read model is late"
            assert reply.status == 200, reply.raw

    def wait_until_served(self) -> None:
        """Wait until it is ready."""
        deadline = time.monotonic() + READY_SECONDS
        while not self._ready():
            ended = [name for name, p in self.processes.items() if p.poll() is not None]
            assert not ended, f"{ended}: {(self.logs / f'{ended[0]}.log').read_text()[-2000:]}"
            assert time.monotonic() < deadline, "not ready"
            time.sleep(0.1)

    def _ready(self) -> bool:
        try:
            return self.client.get("/readyz").status == 200
        except OSError:
            return False


@contextmanager
def installed(
    folder: Path,
    database: str,
    postbox: Postbox,
    *,
    workers: Sequence[str] = ALL,
    **settings: str,
) -> Iterator[Installation]:
    """Set up, serve and run the workers until the end; settings come without their prefix."""
    http = f"{LOOPBACK}:{free_port()}"
    env = _environment(folder, database, postbox, http, settings)
    here = Installation(folder, env, Client(http), postbox)
    here.logs.mkdir()
    here.counters.mkdir()
    try:
        here.run("migrate")
        here.start("serve", "serve")
        here.start_workers(*workers)
        here.tokens.update(_tokens(here))
        here.wait_until_served()
        yield here
    finally:
        for process in here.processes.values():
            process.terminate()
        for name in list(here.processes):
            here.stop(name)


def _environment(
    folder: Path, database: str, postbox: Postbox, http: str, settings: Mapping[str, str]
) -> dict[str, str]:
    given = {
        "DATABASE": database,
        "SMTP": postbox.smtp,
        "MAIL_FROM": "Twinlock <twinlock@example.com>",
        "HTTP": http,
        "PUBLIC_URL": f"http://{http}",
        "MASTER_KEY": a_master_key(),
        "STAFF_WORKSPACE": "staff",
        "ANONYMOUS_LIMIT": "100000",
        "METRICS": "true",
        "WORKERS": "2",
        **settings,
    }
    names = ("PATH", "HOME", "LANG", "SSL_CERT_FILE")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return {
        **kept,
        **{f"TWINLOCK_{name}": value for name, value in given.items()},
        "PROMETHEUS_MULTIPROC_DIR": str(folder / "counters"),
    }


def _tokens(here: Installation) -> dict[str, str]:
    def make(role: str) -> str:
        kind = role.removeprefix("other_")
        return here.run("token", "create", "--role", kind, "--name", "tests", *TOKENS[role])

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(TOKENS, pool.map(make, TOKENS), strict=True))
