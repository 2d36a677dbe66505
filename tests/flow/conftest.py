"""The two logs, each with everything that runs on it."""

import gc
import secrets
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from projections.models import MODELS, Model
from projections.progress import wait_visible
from tests.flow.installation import Installation, installed
from tests.flow.postbox import open_postbox
from tests.support.built import twinlock
from tests.support.parts import fresh_database, temporary_folder
from twinlock.adapters.embedded import EmbeddedLog
from twinlock.adapters.kafka import KafkaLog
from twinlock.composition import Twinlock
from workers.cloud_events import LOG_KEY, Envelope
from workers.ports import Log
from workers.projector import Projector
from workers.relay import Relay

__all__ = ["twinlock"]


@dataclass
class Running:
    """A log and the workers on it; `start` runs one in a thread until the test ends."""

    twinlock: Twinlock
    log: Log
    envelope: Envelope
    threads: list[tuple[threading.Thread, threading.Event]] = field(default_factory=list)

    def start(self, run: Callable[[threading.Event], None]) -> threading.Event:
        """Run something until its event is set."""
        stop = threading.Event()
        thread = threading.Thread(target=run, args=(stop,))
        thread.start()
        self.threads.append((thread, stop))
        return stop

    def project(self, *models: Model) -> None:
        """Run a projector for each model."""
        for model in models or MODELS:
            self.start(self.projector(model).run)

    def seen(self, position: int, *models: Model) -> None:
        """Wait until these models, or all, have applied everything up to a position."""
        for model in models or MODELS:
            wait_visible(self.twinlock.reads, model.key, position, timeout=60)

    def projector(self, model: Model) -> Projector:
        """A projector of the model."""
        return Projector(model, self.twinlock.connect, self.log, self.envelope)

    def relay(self) -> threading.Event:
        """Run a relay, where the log needs one."""
        if isinstance(self.log, KafkaLog):
            relay = Relay(self.twinlock.store, self.twinlock.connect, self.log, self.envelope)
            return self.start(relay.run)
        return threading.Event()

    def stop(self) -> None:
        """End everything."""
        for _, stop in self.threads:
            stop.set()
        for thread, _ in self.threads:
            thread.join(60)
            assert not thread.is_alive()
        self.threads.clear()


@pytest.fixture
def envelope(twinlock: Twinlock) -> Envelope:
    """How events leave."""
    return Envelope("http://127.0.0.1:8080", twinlock.keys.derived(LOG_KEY))


@pytest.fixture
def embedded(twinlock: Twinlock, envelope: Envelope) -> Iterator[Running]:
    """The log that is the store."""
    running = Running(twinlock, EmbeddedLog(twinlock.store, envelope), envelope)
    yield running
    running.stop()


def sweep() -> None:
    """Collect the sockets that kafka-python leaves open where a broker was away."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def on_kafka(twinlock: Twinlock, envelope: Envelope, kafka: str, topic: str) -> Iterator[Running]:
    """The log on a real broker."""
    running = Running(twinlock, KafkaLog(kafka, topic), envelope)
    yield running
    running.stop()
    sweep()


@pytest.fixture(params=["embedded", pytest.param("on_kafka", marks=pytest.mark.kafka)])
def running(request: pytest.FixtureRequest) -> Running:
    """Each of the two logs in turn."""
    running: Running = request.getfixturevalue(request.param)
    return running


@pytest.fixture(scope="session")
def small(postgres_server: str) -> Iterator[Installation]:
    """A whole Twinlock in processes of its own, on the embedded log."""
    with (
        temporary_folder() as folder,
        open_postbox() as postbox,
        fresh_database(postgres_server) as database,
        installed(folder, database, postbox, workers=("project", "mail")) as here,
    ):
        yield here


@pytest.fixture(scope="session")
def whole(postgres_server: str, kafka: str) -> Iterator[Installation]:
    """The same on Kafka, with a topic of its own."""
    topic = f"test.{secrets.token_hex(6)}"
    with (
        temporary_folder() as folder,
        open_postbox() as postbox,
        fresh_database(postgres_server) as database,
        installed(folder, database, postbox, KAFKA=kafka, TOPIC=topic) as here,
    ):
        yield here
