"""From the store through Kafka into the read models: how late, how fast, and how fast anew."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from psycopg.sql import SQL, Identifier

from benchmarks import people
from benchmarks.figures import Figure, Findings, Plot, percentile
from benchmarks.ground import TWINLOCK, Ground, ground
from domain.member_facts import Registered
from domain.member_mfa import MemberMFA
from projections import progress, standing
from projections.models import MODELS, Model
from twinlock.adapters.kafka import KafkaLog
from twinlock.backend import log_of, partition_of, parts
from workers.cloud_events import headers, serialized
from workers.ports import Outgoing
from workers.projector import Projector
from workers.rebuild import rebuild
from workers.rebuild_marks import Live
from workers.relay import Relay

MEMBERS = 40_000
APPENDS, WARM_UP = 300, 600
WINDOW = 500
RATE = 10_000
HOW = (
    "A broker of its own with 12 partitions. Lateness: relay and projectors run as `twinlock "
    "worker` does it, {appends} appends come one after another at odd moments, after {warm_up} "
    "that warm up the broker's virtual machine, and the row in the read model is looked for every "
    "half millisecond. Speed, on a ground of its own: {events:,} events of {members:,} members; "
    "the relay against a bare producer that sends and awaits the same records in windows of "
    "{window}; each projector and each rebuild against COPY of as many rows into an empty table "
    "with the same indexes."
)


@dataclass(frozen=True)
class Spent:
    """Seconds by the clock, and of this process's processor time."""

    seconds: float
    cpu: float


def measure(members: int = MEMBERS) -> Findings:
    """Lateness, then speed."""
    with ground(kafka=True) as here:
        late = _lateness(here)
    with ground(kafka=True) as here:
        people.found_workspace(here.twinlock)
        people.add(here.twinlock, 0, members)
        people.settle(here.twinlock)
        events = members * people.BEGUN
        speed = [_relay(here, events), *(_projector(here, model, events) for model in MODELS)]
        speed += [_rebuild(here, model, events) for model in MODELS]
    how = HOW.format(
        appends=APPENDS, warm_up=WARM_UP, events=events, members=members, window=WINDOW
    )
    plots = [
        Plot(
            "visible",
            "From append to a row in a read model, through Kafka",
            "ms",
            ["p50", "p90", "p99"],
            {"measured": [percentile(late, share) for share in (0.5, 0.9, 0.99)]},
        )
    ]
    return Findings("log", "The log and the read models", how, [_late(late), *speed], plots)


def _late(took: list[float]) -> Figure:
    p50, p99 = percentile(took, 0.5), percentile(took, 0.99)
    return Figure(
        "append to visible through Kafka",
        f"p50 {p50:.1f} ms, p99 {p99:.1f} ms",
        target="p50 10 ms, p99 25 ms",
        met=p50 <= 10 and p99 <= 25,
    )


def _lateness(here: Ground) -> list[float]:
    """Milliseconds between the append's answer and the row."""
    for name in ("relay", "project"):
        here.start(name, TWINLOCK, "worker", name)
    twinlock, took = here.twinlock, list[float]()
    context = twinlock.context(people.HOST, "bench")
    with twinlock.connect() as connection:
        for number in range(WARM_UP + APPENDS):
            id_ = f"late{number}"
            twinlock.store.append(context, (MemberMFA(id_), [Registered()]))
            begun = time.perf_counter()
            while standing.member(connection, id_) is None:
                if time.perf_counter() - begun > 60:
                    raise TimeoutError("the row does not come")
                time.sleep(0.0005)
            if number >= WARM_UP:
                took.append((time.perf_counter() - begun) * 1000)
                time.sleep(0.02 + secrets.randbelow(40) / 1000)
    here.stop("relay", "project")
    return took


def _relay(here: Ground, events: int) -> Figure:
    twinlock, wired = here.twinlock, parts(here.twinlock)
    assert wired.relayed is not None
    head = twinlock.store.head()
    relay = Relay(twinlock.store, twinlock.connect, wired.relayed, wired.envelope)
    with twinlock.connect() as connection:

        def done() -> bool:
            row = connection.execute("select max(position) from log_head").fetchone()
            return row is not None and (row[0] or 0) >= head

        spent = _spent(relay.session, done)
    bare = _producer(here)
    return _fast("relay", events, spent, f"bare producer {bare:,.0f}/s", bare)


def _producer(here: Ground) -> float:
    """Records a second of a bare producer: the same ones, made beforehand."""
    twinlock, wired = here.twinlock, parts(here.twinlock)
    wrap = wired.envelope
    made: list[Outgoing] = []
    for record in twinlock.store.events(0, 20_000):
        event = wrap.wrap(record)
        made.append(Outgoing(record.stream, serialized(event), headers(event)))
    log = KafkaLog(twinlock.settings.kafka, topic="bare")
    writer = log.writer()
    begun = time.perf_counter()
    for start in range(0, len(made), WINDOW):
        writer.put(made[start : start + WINDOW])
    rate = len(made) / (time.perf_counter() - begun)
    writer.close()
    return rate


def _projector(here: Ground, model: Model, events: int) -> Figure:
    twinlock, wired = here.twinlock, parts(here.twinlock)
    head = twinlock.store.head()
    projector = Projector(model, twinlock.connect, wired.log, wired.envelope)
    with twinlock.connect() as connection:
        spent = _spent(projector.session, lambda: progress.visible(connection, model.key, head))
    rows, bare = _copy(here, model)
    limit = f"COPY of its {rows:,} rows {bare:,.0f}/s"
    return _fast(f"projector, {_named(model)}", events, spent, limit)


def _rebuild(here: Ground, model: Model, events: int) -> Figure:
    twinlock = here.twinlock
    live = Live(model.key, log_of(twinlock.settings), partition_of(twinlock.settings))
    outcome = rebuild(model, twinlock.connect, live, lambda *_: None)
    rows, bare = _copy(here, model)
    copied = rows / bare if rows else 0.0
    name = f"rebuild, {_named(model)}"
    spent = f"{events / outcome.seconds:,.0f} events/s, {outcome.seconds:.2f} s"
    if rows < events / 10:
        return Figure(name, spent, f"{rows:,} rows")
    return Figure(
        name,
        spent,
        f"COPY of its {rows:,} rows {copied:.2f} s",
        f"{outcome.seconds / copied:.1f} times as long",
        f"{RATE:,}/s, within 3 times",
        events / outcome.seconds >= RATE and outcome.seconds <= 3 * copied,
    )


def _fast(what: str, events: int, spent: Spent, limit: str, bare: float | None = None) -> Figure:
    rate = events / spent.seconds
    measured = f"{rate:,.0f} events/s, {events / spent.cpu:,.0f} in a second of its processor time"
    ratio = "" if bare is None else f"{rate / bare:.2f}"
    return Figure(what, measured, limit, ratio, f"{RATE:,}/s", rate >= RATE)


def _copy(here: Ground, model: Model) -> tuple[int, float]:
    """The model's rows, and rows a second of COPY into empty tables like the model's."""
    rows, seconds = 0, 0.0
    with here.twinlock.connect() as connection:
        for table in map(Identifier, model.tables):
            held: list[tuple[Any, ...]] = connection.execute(
                SQL("select * from {}").format(table)
            ).fetchall()
            connection.execute("drop table if exists copied")
            connection.execute(SQL("create table copied (like {} including all)").format(table))
            with (
                connection.cursor() as cursor,
                cursor.copy(SQL("copy {} to stdout").format(table)) as out,
            ):
                pieces = [bytes(piece) for piece in out]
            begun = time.perf_counter()
            with connection.cursor() as cursor, cursor.copy("copy copied from stdin") as into:
                for piece in pieces:
                    into.write(piece)
            seconds += time.perf_counter() - begun
            rows += len(held)
    return rows, rows / seconds


@contextmanager
def _running(session: Callable[[threading.Event], None]) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=session, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _spent(session: Callable[[threading.Event], None], done: Callable[[], bool]) -> Spent:
    """What the worker takes until it is done, its start-up included."""
    begun, used = time.perf_counter(), time.process_time()
    with _running(session):
        while not done():
            if time.perf_counter() - begun > 300:
                raise TimeoutError("it does not come to an end")
            time.sleep(0.01)
        return Spent(time.perf_counter() - begun, time.process_time() - used)


def _named(model: Model) -> str:
    return model.key.rpartition("-v")[0].replace("_", " ")
