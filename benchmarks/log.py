"""From the store through Kafka into the read models: how late, how fast, and how fast anew."""

import gc
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kafka import KafkaProducer
from psycopg import Connection
from psycopg.sql import SQL, Identifier

from benchmarks import people
from benchmarks.figures import Figure, Findings, Plot, median, percentile
from benchmarks.ground import TWINLOCK, Ground, ground
from domain.member_facts import Registered
from domain.member_mfa import MemberMFA
from projections import progress, standing
from projections.models import MODELS, Model
from twinlock.adapters.kafka import PARTITIONS, KafkaLog
from twinlock.backend import log_of, partition_of, parts
from workers.cloud_events import headers, serialized
from workers.projector import Projector
from workers.rebuild import rebuild, statements
from workers.rebuild_marks import Live
from workers.relay import Relay

MEMBERS = 40_000
APPENDS, WARM_UP = 300, 600
TICKETS = 0.25
"""The share of the members who file one."""
ROUNDS = 3
RATE = 10_000
HOW = (
    "A broker of its own with 12 partitions. Lateness: relay and projectors run as `twinlock "
    "worker` does it, {appends} appends come one after another at odd moments, after {warm_up} "
    "that warm up the broker's virtual machine, and the row in the read model is looked for every "
    "half millisecond. Speed, on a ground of its own: {events:,} events of {members:,} members, "
    "{tickets:,} of whom file a ticket that is claimed and approved. The relay and every projector "
    "go through them all, start-up included. The relay's limit is a plain KafkaProducer with the "
    "relay's acks, idempotence and batch size that sends the same records, made beforehand, to the "
    "same partitions, and flushes once at the end; a run of it that does not count warms up the "
    "broker. A projector's limit is COPY of its rows into empty tables with their indexes. A "
    "rebuild's seconds are those of filling the fresh tables: reading and folding the events of "
    "its streams, COPY, making the indexes, and statistics. Its limit is COPY of the same rows "
    "into tables of the same definition, and then the same indexes; neither awaits a flush at "
    "commit. The two take turns in {rounds} rounds, each of these figures is a median, and the "
    "ratio is taken within its round. The whole rebuild compares with "
    "the live tables and switches besides."
)


@dataclass(frozen=True)
class Spent:
    """Seconds by the clock, and of this process's processor time."""

    seconds: float
    cpu: float


@dataclass(frozen=True)
class Rebuilt:
    """Events and rows of a rebuild, and the seconds of filling, of all of it, and of its limit."""

    events: int
    rows: int
    filled: float
    whole: float
    copied: float


def measure(*, members: int = MEMBERS) -> Findings:
    """Lateness, then speed."""
    with ground(kafka=True) as here:
        late = _lateness(here)
    with ground(kafka=True) as here:
        people.found_workspace(here.twinlock)
        some = people.add(here.twinlock, 0, members)
        filed = int(members * TICKETS)
        people.file_tickets(here.twinlock, some[:filed])
        people.settle(here.twinlock)
        events = here.twinlock.store.head()
        speed = [_relay(here, events), *(_projector(here, model, events) for model in MODELS)]
        speed += [_rebuild(here, model) for model in MODELS]
    how = HOW.format(
        appends=APPENDS,
        warm_up=WARM_UP,
        events=events,
        members=members,
        tickets=filed,
        rounds=ROUNDS,
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
    plain = _plain(here)
    relay = Relay(twinlock.store, twinlock.connect, wired.relayed, wired.envelope)
    with twinlock.connect() as connection:

        def done() -> bool:
            row = connection.execute("select max(position) from log_head").fetchone()
            return row is not None and (row[0] or 0) >= events

        spent = _spent(relay.session, done)
    return _fast("relay", events, spent, f"plain producer {plain:,.0f}/s", plain)


def _plain(here: Ground) -> float:
    """Records a second of a plain producer, once the broker is warm."""
    records = _records(here)
    _produced(here, "warm", records)
    return _produced(here, "plain", records)


def _records(here: Ground) -> list[dict[str, Any]]:
    """All that the relay puts on the log, as a producer takes it."""
    made, after = list[dict[str, Any]](), 0
    store, wrap = here.twinlock.store, parts(here.twinlock).envelope.wrap
    partition = partition_of(here.twinlock.settings)
    while page := store.events(after, 10_000):
        for record in page:
            event = wrap(record)
            made.append(
                {
                    "key": record.stream.encode(),
                    "value": serialized(event),
                    "headers": [(name, text.encode()) for name, text in headers(event).items()],
                    "partition": partition(record.stream, PARTITIONS),
                }
            )
        after = page[-1].position
    return made


def _produced(here: Ground, topic: str, records: list[dict[str, Any]]) -> float:
    log = KafkaLog(here.twinlock.settings.kafka, topic=topic)
    log.writer().close()  # it makes the topic
    producer = KafkaProducer(
        acks="all", enable_idempotence=True, batch_size=128 * 1024, linger_ms=100, **log.client
    )
    producer.partitions_for(topic)
    gc.collect()
    gc.disable()  # or it would look through all the records again and again
    begun = time.perf_counter()
    sent = [producer.send(topic, **record) for record in records]
    producer.flush()
    rate = len(records) / (time.perf_counter() - begun)
    gc.enable()
    producer.close()
    if not all(future.succeeded() for future in sent):
        raise RuntimeError("the broker refused records")
    return rate


def _projector(here: Ground, model: Model, events: int) -> Figure:
    twinlock, wired = here.twinlock, parts(here.twinlock)
    projector = Projector(model, twinlock.connect, wired.log, wired.envelope)
    with twinlock.connect() as connection:
        spent = _spent(projector.session, lambda: progress.visible(connection, model.key, events))
    rows, seconds = _copy(here, model, indexed=True)
    limit = f"COPY of its {rows:,} rows {rows / seconds:,.0f}/s"
    return _fast(f"projector, {_named(model)}", events, spent, limit)


def _rebuild(here: Ground, model: Model) -> Figure:
    rounds = [_rebuilt(here, model) for _ in range(ROUNDS)]
    events, rows = rounds[0].events, rounds[0].rows
    filled, whole = median([one.filled for one in rounds]), median([one.whole for one in rounds])
    copied = median([one.copied for one in rounds])
    ratio = median([one.filled / one.copied for one in rounds])
    of_all = median([one.whole / one.copied for one in rounds])
    return Figure(
        f"rebuild, {_named(model)}",
        f"{events:,} events, {events / filled:,.0f}/s, {filled:.2f} s; "
        f"whole, compared and switched: {whole:.2f} s",
        f"COPY of its {rows:,} rows, and indexes {copied:.2f} s",
        f"{ratio:.1f} times as long; the whole {of_all:.1f} times",
        f"{RATE:,}/s, within 3 times",
        events / filled >= RATE and ratio <= 3,
    )


def _rebuilt(here: Ground, model: Model) -> Rebuilt:
    """One round."""
    twinlock = here.twinlock
    live = Live(model.key, log_of(twinlock.settings), partition_of(twinlock.settings))
    begun = time.perf_counter()
    outcome = rebuild(model, twinlock.connect, live, lambda *_: None)
    whole = time.perf_counter() - begun
    if outcome.difference or not (outcome.compared and outcome.switched):
        raise RuntimeError(f"not as it should be: {outcome}")
    rows, copied = _copy(here, model, indexed=False)
    return Rebuilt(outcome.events, rows, outcome.seconds, whole, copied)


def _fast(what: str, events: int, spent: Spent, limit: str, bare: float | None = None) -> Figure:
    rate = events / spent.seconds
    measured = f"{rate:,.0f} events/s, {events / spent.cpu:,.0f} in a second of its processor time"
    ratio = "" if bare is None else f"{rate / bare:.2f}"
    return Figure(what, measured, limit, ratio, f"{RATE:,}/s", rate >= RATE)


def _copy(here: Ground, model: Model, *, indexed: bool) -> tuple[int, float]:
    """The model's rows, and the seconds of COPY into empty tables like the model's.

    They have their indexes before it, or else get them within the seconds.
    """
    tables, indexes = statements(model.schema)
    with here.twinlock.connect() as connection:
        pieces = {table: _copied(connection, table) for table in model.tables}
        connection.execute("create schema copied")
        connection.execute("set search_path = copied")
        connection.execute("set synchronous_commit = off")
        connection.execute(f"{tables}; {indexes if indexed else ''}".encode())
        begun, rows = time.perf_counter(), 0
        for table, held in pieces.items():
            query = SQL("copy {} from stdin").format(Identifier(table))
            with connection.cursor() as cursor:
                with cursor.copy(query) as into:
                    for piece in held:
                        into.write(piece)
                rows += cursor.rowcount
        if not indexed:
            connection.execute(indexes.encode())
        seconds = time.perf_counter() - begun
        connection.execute("drop schema copied cascade")
    return rows, seconds


def _copied(connection: Connection[Any], table: str) -> list[bytes]:
    query = SQL("copy {} to stdout").format(Identifier(table))
    with connection.cursor() as cursor, cursor.copy(query) as out:
        return [bytes(piece) for piece in out]


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
