"""A whole Twinlock as it is served: database, API and pages, workers and mailbox."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from commands.dispatch import run
from commands.ports import Context
from domain.facts import Actor
from projections.models import MODELS
from projections.progress import wait_visible
from tests.support.built import a_master_key
from tests.support.parts import temporary_folder
from twinlock.composition import Twinlock, build
from twinlock.dev import child
from twinlock.dev.mailbox import Mailbox
from twinlock.dev.ports import free_port
from twinlock.settings import Settings

ROOT = Path(__file__).parents[3]
HOST = Actor("host", "browser-tests")
READY_SECONDS = 120
Problem = dict[str, Any]


@dataclass(frozen=True)
class Site:
    """A served Twinlock; `twinlock` is another one on the same database, to act behind its back."""

    url: str
    mailbox: Mailbox
    twinlock: Twinlock
    seeded: dict[str, Any]
    log: Path

    def do(self, command: Any, *, at: datetime | None = None, actor: Actor = HOST) -> Any:
        """Run a command as the host does, and wait until the pages show it."""
        context = Context(
            at=at or datetime.now(UTC),
            actor=actor,
            request_id="browser-tests",
            workspace_id=getattr(command, "workspace_id", None),
        )
        done = run(command, context, self.twinlock.desk)
        self.settle(done.position)
        return done

    def settle(self, position: int | None = None) -> None:
        """Wait until every read model shows the position, or all there is now."""
        for model in MODELS:
            wait_visible(self.twinlock.reads, model.key, position or self.twinlock.store.head(), 10)

    def call(self, path: str, *, token: str | None, body: Any = None) -> dict[str, Any]:
        """Ask the JSON API, as a host's server does: a GET, or a POST of `body`."""
        headers = {"Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=content, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
            return found

    def refused(self, path: str, *, token: str | None, body: Any = None) -> int:
        """Ask for what is refused, and answer the status."""
        try:
            self.call(path, token=token, body=body)
        except urllib.error.HTTPError as error:
            return error.code
        raise AssertionError(f"{path} was not refused")

    @property
    def host_token(self) -> str:
        """The token of the demonstration's host."""
        return str(self.seeded["tokens"]["host"])


@contextmanager
def served(database: str, mailbox: Mailbox, **others: str) -> Iterator[Site]:
    """Serve on a free port until the end; `others` are settings without their prefix."""
    with temporary_folder() as folder, ExitStack() as parts:
        env = _settings(database, mailbox, others)
        _once(env, "migrate")
        seeded = json.loads(_once(env, "demo", "seed"))
        log = folder / "twinlock.log"
        processes = [child.start(_command(name), log=log, env=env) for name in ("serve", "worker")]
        for process in processes:
            parts.callback(partial(child.stop, process, within=10))
        twinlock = build(_as_settings(env))
        parts.callback(twinlock.close)
        site = Site(env["TWINLOCK_PUBLIC_URL"], mailbox, twinlock, seeded, log)
        _wait(site, processes)
        yield site


def _settings(database: str, mailbox: Mailbox, others: dict[str, str]) -> dict[str, str]:
    http = f"127.0.0.1:{free_port()}"
    given = {
        "DATABASE": database,
        "SMTP": mailbox.smtp,
        "MAIL_FROM": "twinlock@example.com",
        "HTTP": http,
        "PUBLIC_URL": f"http://{http}",
        "MASTER_KEY": a_master_key(),
        "STAFF_WORKSPACE": "staff",
        "ANONYMOUS_LIMIT": "100000",
        "DEMO": "true",
        "WORKERS": "1",
        **{name.upper(): value for name, value in others.items()},
    }
    kept = {name: value for name, value in os.environ.items() if "TWINLOCK" not in name}
    return kept | {f"TWINLOCK_{name}": value for name, value in given.items()}


def _as_settings(env: dict[str, str]) -> Settings:
    ours = {name.lower(): value for name, value in env.items() if name.startswith("TWINLOCK_")}
    given: dict[str, Any] = {name.removeprefix("twinlock_"): v for name, v in ours.items()}
    return Settings(_env_file=None, **given)  # type: ignore[call-arg]


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "twinlock", *words]


def _once(env: dict[str, str], *words: str) -> str:
    done = subprocess.run(_command(*words), env=env, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _wait(site: Site, processes: list[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not _ready(site.url):
        dead = any(process.poll() is not None for process in processes)
        if dead or time.monotonic() > deadline:
            raise AssertionError(f"not served:\n{site.log.read_text()[-3000:]}")
        time.sleep(0.1)
    site.settle()


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
