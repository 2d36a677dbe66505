"""Runs workers by name, each as a loop of its own, until told to stop."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from threading import Event

import structlog

from projections.models import MODELS, Model
from workers import mail_queue
from workers.cloud_events import Envelope
from workers.loops import keep_going
from workers.mailer import Mailer, Scribe
from workers.member_states import MemberStates
from workers.notary import Notary
from workers.ports import Connect, Followed, Log, Outbox, RelayedLog
from workers.projector import Projector
from workers.relay import Relay

NAMES = ("relay", "project", "mail", "notary")
STOP_SECONDS = 10.0
PRUNE_SECONDS = 60.0

log = structlog.get_logger()
Loop = Callable[[Event], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the workers are made of; `relayed` is None where the log is the store itself.

    The relay's process also keeps `member_states`, where there are brokers.

    `prunes` are run every minute, and drop what has expired.
    """

    store: Followed
    connect: Connect
    envelope: Envelope
    log: Log
    relayed: RelayedLog | None
    member_states: MemberStates | None = None
    outbox: Outbox
    scribe: Scribe
    notary: Notary
    prunes: Sequence[tuple[str, Callable[[], object]]] = ()


def run_workers(names: Sequence[str], parts: Parts, stop: Event) -> bool:
    """Run the named workers until `stop` is set; says whether all ended within ten seconds.

    Raises ValueError for a name that is not in NAMES. Nothing is lost by an end at any time.
    """
    loops = [loop for name in names for loop in loops_of(name, parts)]
    threads = [threading.Thread(target=loop, args=(stop,), daemon=True) for loop in loops]
    for thread in threads:
        thread.start()
    log.info("workers.started", workers=list(names), log=parts.log.name)
    stop.wait()
    deadline = time.monotonic() + STOP_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    ended = not any(thread.is_alive() for thread in threads)
    log.info("workers.stopped", workers=list(names), ended=ended)
    return ended


def loops_of(name: str, parts: Parts) -> list[Loop]:
    """The loops of one worker; the embedded log needs no relay."""
    if name == "relay":
        if parts.relayed is None:
            return []
        relay = Relay(parts.store, parts.connect, parts.relayed, parts.envelope)
        return [relay.run, *([parts.member_states.run] if parts.member_states else [])]
    if name == "project":
        prunes = (partial(prune, *each) for each in parts.prunes)
        return [*prunes, *(_projector(model, parts) for model in MODELS)]
    if name == "mail":
        mailer = Mailer(parts.connect, parts.outbox, parts.scribe)
        return [_projector(mail_queue.MODEL, parts), mailer.run]
    if name == "notary":
        return [parts.notary.run]
    raise ValueError(name)


def prune(name: str, drop: Callable[[], object], stop: Event) -> None:
    """Drop what has expired, every minute; many may do so at once."""

    def session() -> None:
        while not stop.is_set():
            drop()
            stop.wait(PRUNE_SECONDS)

    keep_going(f"prune {name}", session, stop)


def _projector(model: Model, parts: Parts) -> Loop:
    return Projector(model, parts.connect, parts.log, parts.envelope).run
