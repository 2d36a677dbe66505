"""Three real brokers that replicate to each other, of which one may be killed."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from tests.faults.ground import ground
from tests.faults.load import under
from tests.faults.log_faults import drained
from tests.faults.oracle import judge
from tests.faults.scenarios import Seen, Size, hold, scenario
from tests.support.parts import temporary_folder
from twinlock.dev.kafka import KafkaBroker, _base64
from twinlock.dev.ports import LOOPBACK, free_port

NODES = 3


class Member(KafkaBroker):
    """One of the brokers; `ports` are those of all: broker and controller of each."""

    def __init__(self, folder: Path, number: int, ports: list[tuple[int, int]], name: str) -> None:
        super().__init__(folder)
        self._number, self._ports, self._name = number, ports, name
        self.port, self._controller_port = ports[number]

    def prepare(self) -> None:
        """Write settings and format, so that `restart` starts it."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._write_settings()
        voters = ",".join(f"{n + 1}@{LOOPBACK}:{c}" for n, (_, c) in enumerate(self._ports))
        replicated = {
            "node.id": str(self._number + 1),
            "controller.quorum.voters": voters,
            "default.replication.factor": "3",
            "min.insync.replicas": "2",
            "offsets.topic.replication.factor": "3",
            "transaction.state.log.replication.factor": "3",
            "transaction.state.log.min.isr": "2",
            "share.coordinator.state.topic.replication.factor": "3",
        }
        lines = self._settings.read_text().splitlines()
        kept = [line for line in lines if line.split("=")[0] not in replicated]
        kept = [line for line in kept if not line.startswith("controller.quorum.bootstrap")]
        self._settings.write_text("\n".join([*kept, *map("=".join, replicated.items())]) + "\n")
        tool = [*self._jvm(), "kafka.tools.StorageTool", "format"]
        done = subprocess.run(
            [*tool, f"--cluster-id={self._name}", f"--config={self._settings}"],
            capture_output=True,
            text=True,
        )
        hold(done.returncode == 0, f"the broker's folder: {done.stdout[-200:]}")


@contextmanager
def three_brokers(folder: Path) -> Iterator[list[Member]]:
    """Start them together: none is ready before two of them are there."""
    ports = [(free_port(), free_port()) for _ in range(NODES)]
    name = _base64(uuid4().bytes)
    members = [Member(folder / f"broker-{n}", n, ports, name) for n in range(NODES)]
    for member in members:
        member.prepare()
    try:
        for member in members:
            member.launch()
        for member in members:
            member.wait_until_ready()
        yield members
    finally:
        for member in members:
            member.stop()


@scenario("F12", "one of three brokers killed under load, each in turn")
def one_of_three(_: object, size: Size) -> Seen:
    """On a ground of its own, whose topic has three replicas of which two have to have a record."""
    worst = 0.0
    with temporary_folder() as folder, three_brokers(folder) as members:
        bootstrap = ",".join(member.bootstrap for member in members)
        with ground(bootstrap=bootstrap, bound=300) as replicated:
            with under(replicated.load, rate=20) as load:
                for member in members:
                    member.kill()
                    worst = max(worst, drained(replicated))
                    member.restart()
            hold(not load.failures, f"{load.failures[:3]}")
            replicated.settle()
            verdict = judge(replicated)
    hold(not verdict.lost and not verdict.doubled, "; ".join(verdict.told[:3]))
    return Seen(NODES, worst, "3 replicas, 2 in sync")
