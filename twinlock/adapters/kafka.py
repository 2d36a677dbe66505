"""The log on Kafka: one topic, records of one aggregate in one partition, kept for ever."""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast

from kafka import (
    ConsumerRebalanceListener,
    KafkaAdminClient,
    KafkaConsumer,
    KafkaProducer,
    TopicPartition,
)
from kafka.admin import NewTopic
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import KafkaError, TopicAlreadyExistsError
from kafka.partitioner import murmur2

from twinlock.adapters.kafka_records import without_headers
from twinlock.adapters.reaching import connected, reaching, silence
from workers.ports import Delivery, LogUnavailable, Outgoing, Resume

PARTITIONS = 12
BATCH = 500
SECONDS = 10
FLUSH_SECONDS = 15
IDLE_SECONDS = 60.0
"""How long a reader stays in its group without a partition, until it joins anew."""


@dataclass(frozen=True, slots=True)
class KafkaLog:
    """Where the brokers are and how they are spoken to.

    `security` holds kafka-python's own settings (`security_protocol`, `ssl_cafile`, `sasl_...`).
    A `compacted` topic keeps the newest record of each key.
    """

    bootstrap: str
    topic: str = "twinlock.events"
    partitions: int = PARTITIONS
    security: Mapping[str, Any] = field(default_factory=dict, repr=False)
    compacted: bool = False

    def __post_init__(self) -> None:
        """The client tells of every attempt to reach a broker; workers say it once."""
        silence()

    @property
    def name(self) -> str:
        """The log's name: its topic."""
        return self.topic

    def reader(self, group: str, resume: Resume) -> "KafkaReader":
        """Join the group."""
        return KafkaReader(self, group, resume)

    def writer(self) -> "KafkaWriter":
        """Make a writer, and the topic where it is missing."""
        with reaching():
            self._ensure_topic()
            return KafkaWriter(self)

    def topics(self) -> Collection[str]:
        """The names of all topics there; raises LogUnavailable."""
        with reaching(), closing(connected(KafkaAdminClient, **self.common)) as admin:
            return cast(Collection[str], admin.list_topics())

    @property
    def common(self) -> dict[str, Any]:
        """How the brokers are reached."""
        return {
            "bootstrap_servers": self.bootstrap.split(","),
            "reconnect_backoff_max_ms": 1000,
            "request_timeout_ms": SECONDS * 1000,
            "bootstrap_timeout_ms": 3000,
            **self.security,
        }

    @property
    def client(self) -> dict[str, Any]:
        """What producers and consumers are made with; nobody reads the client's own metrics."""
        return {**self.common, "allow_auto_create_topics": False, "metrics_enabled": False}

    @property
    def _configs(self) -> dict[str, str]:
        if self.compacted:
            return {"cleanup.policy": "compact"}
        return {"retention.ms": "-1", "retention.bytes": "-1"}

    def _ensure_topic(self) -> None:
        if self.topic in self.topics():
            return
        new = NewTopic(self.topic, self.partitions, -1, topic_configs=self._configs)
        with (
            closing(connected(KafkaAdminClient, **self.common)) as admin,
            suppress(TopicAlreadyExistsError),
        ):
            admin.create_topics([new])


class KafkaWriter:
    """The relay's producer: idempotent, acknowledged by all replicas, bounded by its caller."""

    def __init__(self, log: KafkaLog) -> None:
        self._log = log
        self._producer = connected(
            KafkaProducer,
            acks="all",
            enable_idempotence=True,
            delivery_timeout_ms=SECONDS * 1000 + 500,
            max_block_ms=SECONDS * 1000,
            linger_ms=100,  # never waited for: each window is flushed
            batch_size=128 * 1024,
            **log.client,
        )
        self._count = len(self._producer.partitions_for(log.topic) or ())
        if not self._count:
            self.close()
            raise LogUnavailable("the topic is not there yet")

    def partition(self, key: str) -> int:
        """Kafka's default: murmur2 of the key."""
        return partition_of(key, self._count)

    def ends(self) -> dict[int, int]:
        """Ask where each partition ends."""
        with self._consumer() as consumer:
            found = consumer.end_offsets(self._places(range(self._count)))
            return {place.partition: end - 1 for place, end in found.items()}

    def read(self, offsets: Mapping[int, int]) -> dict[int, bytes | None]:
        """Read a record of each of these partitions."""
        with self._consumer() as consumer:
            places = self._places(offsets)
            return _read(consumer, {place: offsets[place.partition] for place in places})

    def put(self, records: Sequence[Outgoing]) -> list[int]:
        """Send, flush and check every one."""
        try:
            sent = [self._send(record) for record in records]
            self._producer.flush(timeout=FLUSH_SECONDS)
            return [future.get(timeout=1).offset for future in sent]
        except (KafkaError, OSError) as error:
            raise LogUnavailable(type(error).__name__) from error

    def close(self) -> None:
        """Drop what was not sent."""
        self._producer.close(timeout=1)

    @contextmanager
    def _consumer(self) -> Iterator[Any]:
        """A consumer of no group; raises LogUnavailable."""
        settings = {"group_id": None, "enable_auto_commit": False, **self._log.client}
        with (
            reaching(),
            closing(connected(KafkaConsumer, auto_offset_reset="earliest", **settings)) as consumer,
        ):
            yield consumer

    def _places(self, partitions: Iterable[int]) -> list[TopicPartition]:
        return [TopicPartition(self._log.topic, partition) for partition in partitions]

    def _send(self, record: Outgoing) -> Any:
        return self._producer.send(
            self._log.topic,
            key=record.key.encode(),
            value=record.value,
            headers=[(name, value.encode()) for name, value in record.headers.items()],
            partition=self.partition(record.key),
        )


class KafkaReader:
    """One member of a consumer group; where it goes on is asked of the database, not of Kafka."""

    def __init__(self, log: KafkaLog, group: str, resume: Resume) -> None:
        self._log = log
        self._count = 0
        self._assigned: frozenset[int] = frozenset()
        self._idle_since = time.monotonic()
        self._resume = resume
        with reaching():
            self._consumer = connected(
                KafkaConsumer,
                group_id=group,
                auto_offset_reset="earliest",
                enable_auto_commit=False,
                max_poll_records=BATCH,
                partition_assignment_strategy=[RangePartitionAssignor],
                metadata_max_age_ms=5000,
                session_timeout_ms=6000,  # the least that brokers allow by default
                heartbeat_interval_ms=2000,
                **log.client,
            )
            without_headers(self._consumer)
            self._consumer.subscribe([log.topic], listener=_Rebalance(self))

    def partition(self, key: str) -> int:
        """Where the relay puts records of this key."""
        if not self._count:
            self._count = len(self._consumer.partitions_for_topic(self._log.topic) or ())
        return partition_of(key, self._count)

    def assigned(self) -> frozenset[int]:
        """The partitions that are ours since the last poll."""
        return self._assigned

    def seek(self, partition: int, offset: int) -> None:
        """Go on from this offset, if the partition is still ours."""
        if partition in self._assigned:
            self._consumer.seek(TopicPartition(self._log.topic, partition), offset)

    def poll(self, timeout: float) -> list[Delivery]:
        """Records in the order of each partition."""
        try:
            self._refuse_to_idle()
            polled = self._consumer.poll(timeout_ms=int(timeout * 1000))
        except (KafkaError, OSError) as error:
            raise LogUnavailable(type(error).__name__) from error
        return [
            Delivery(r.partition, r.offset, (r.key or b"").decode(errors="replace"), r.value or b"")
            for records in polled.values()
            for r in records
        ]

    def close(self) -> None:
        """Leave the group at once, so that others take over."""
        self._consumer.close(timeout_ms=2000)

    def taken(self, partitions: frozenset[int]) -> None:
        """Take over partitions, each from where its progress says."""
        self._assigned = partitions
        for partition, offset in self._resume(partitions).items():
            self.seek(partition, offset)

    def _refuse_to_idle(self) -> None:
        """Raise LogUnavailable rather than be in the group without a topic, or long for nothing.

        Who joins while the topic is being made may be given nothing, and kafka-python 3.0.12 then
        sees no reason to join again: it spins for ever, beside partitions that are nobody's.
        """
        if self._assigned:
            self._idle_since = time.monotonic()
        elif not self._consumer.partitions_for_topic(self._log.topic):
            raise LogUnavailable("the topic is not there yet")
        elif time.monotonic() - self._idle_since > IDLE_SECONDS:
            raise LogUnavailable("no partition is ours")


class _Rebalance(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, reader: KafkaReader) -> None:
        self._reader = reader

    def on_partitions_revoked(self, revoked: Any) -> None:
        """What was applied is committed already; the rest is read again by others."""

    def on_partitions_assigned(self, assigned: Any) -> None:
        """Go on where the database says."""
        self._reader.taken(frozenset(tp.partition for tp in assigned))


@lru_cache(maxsize=65536)
def partition_of(key: str, count: int) -> int:
    """The partition of a key as Kafka's own clients choose it."""
    return int((murmur2(key.encode()) & 0x7FFFFFFF) % count)


def _read(consumer: Any, wanted: Mapping[TopicPartition, int]) -> dict[int, bytes | None]:
    """The value of the record at each of these offsets, where there is one."""
    begins, ends = consumer.beginning_offsets(list(wanted)), consumer.end_offsets(list(wanted))
    found: dict[int, bytes | None] = {place.partition: None for place in wanted}
    missing = {place for place, offset in wanted.items() if begins[place] <= offset < ends[place]}
    consumer.assign(list(missing))
    for place in missing:
        consumer.seek(place, wanted[place])
    for _ in range(SECONDS * 2):
        if not missing:
            return found
        for place, (first, *_) in consumer.poll(timeout_ms=500).items():
            if place in missing:
                found[place.partition] = first.value if first.offset == wanted[place] else None
                missing.remove(place)
                consumer.pause(place)
    raise LogUnavailable("records cannot be read")
