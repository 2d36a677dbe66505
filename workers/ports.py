"""What workers need from the outside, named from the inside: the store, a log, an outbox."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any, NamedTuple, Protocol

from psycopg import Connection

Connect = Callable[[], Connection[Any]]
"""Opens a connection of one's own to the database, in autocommit mode."""


Resume = Callable[[frozenset[int]], Mapping[int, int]]
"""Answers the next offset of each of these partitions."""


class StoredRecord(NamedTuple):
    """An event as the store keeps it; `state` is compact JSON."""

    position: int
    stream: str
    version: int
    topic: str
    state: bytes


class Events(Protocol):
    """The event store, read in the order of positions."""

    def events(self, after: int, limit: int, until: int | None = None) -> Sequence[StoredRecord]:
        """At most `limit` events behind the position `after`; `until` is no later than a head."""
        ...


class Source(Events, Protocol):
    """The same, for one thread that follows what is appended."""

    def head(self) -> int:
        """The position up to which every event can be read."""
        ...

    def wait(self, timeout: float) -> bool:
        """Sleep until something was perhaps appended, or `timeout` seconds are over."""
        ...

    def close(self) -> None: ...


class Followed(Protocol):
    """The event store, which anybody may follow."""

    def follow(self) -> Source:
        """A source for one thread."""
        ...


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record for the log; records of one key keep their order. No value erases the key."""

    key: str
    value: bytes | None
    headers: Mapping[str, str]


class Delivery(NamedTuple):
    """A record as it came out of the log."""

    partition: int
    offset: int
    key: str
    value: bytes


class LogUnavailable(Exception):
    """The log cannot be reached now."""


class LogChanged(Exception):
    """The topic is not the one it was: it was deleted, made anew, or has lost its tail."""


class LogWriter(Protocol):
    """The producing end of a log with partitions."""

    def partition(self, key: str) -> int:
        """Where records of this key go."""
        ...

    def ends(self) -> Mapping[int, int]:
        """The offset of each partition's last record; -1: none. Raises LogUnavailable."""
        ...

    def read(self, offsets: Mapping[int, int]) -> Mapping[int, bytes | None]:
        """The records at an offset of each of these partitions; None where there is none now."""
        ...

    def put(self, records: Sequence[Outgoing]) -> Sequence[int]:
        """Put records, wait until they are durable, answer their offsets; raises LogUnavailable.

        After an error, any prefix of each partition's records may be there.
        """
        ...

    def close(self) -> None: ...


class LogReader(Protocol):
    """The consuming end, for one member of a consumer group."""

    def partition(self, key: str) -> int:
        """Where genuine records of this key are."""
        ...

    def assigned(self) -> frozenset[int]:
        """The partitions that are ours since the last poll."""
        ...

    def seek(self, partition: int, offset: int) -> None:
        """Go on from this offset."""
        ...

    def poll(self, timeout: float) -> Sequence[Delivery]:
        """Records in the order of each partition, at most 500; raises LogUnavailable."""
        ...

    def close(self) -> None: ...


class Log(Protocol):
    """A log that readers can be made of."""

    @property
    def name(self) -> str:
        """The topic, or embedded."""
        ...

    def reader(self, group: str, resume: Resume) -> LogReader:
        """Join a group of readers; a joining reader goes on where `resume` says."""
        ...


class RelayedLog(Log, Protocol):
    """A log that a relay has to fill."""

    def writer(self) -> LogWriter:
        """Make a writer; creates the topic where it is missing; raises LogUnavailable."""
        ...


class Undeliverable(Exception):
    """The mail server refused this mail for good."""


class MailDelayed(Exception):
    """The mail server cannot be reached, or asks to try again."""


class Outbox(Protocol):
    """Sends mails; raises Undeliverable or MailDelayed."""

    def send(self, message: EmailMessage) -> None: ...
