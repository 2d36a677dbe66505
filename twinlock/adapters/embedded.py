"""The log that is the store itself: one partition, offsets are positions, nothing to relay."""

from collections.abc import Sequence
from dataclasses import dataclass

from projections.progress import EMBEDDED
from workers.cloud_events import Envelope, serialized
from workers.ports import Delivery, Followed, Resume, Source

BATCH = 500


@dataclass(frozen=True, slots=True)
class EmbeddedLog:
    """Reads the store as readers of Kafka read a topic, envelopes and macs included."""

    store: Followed
    envelope: Envelope

    @property
    def name(self) -> str:
        """The log's name."""
        return EMBEDDED

    def reader(self, group: str, resume: Resume) -> "EmbeddedReader":
        """Make a reader; `group` needs no place of its own here, progress tells readers apart."""
        return EmbeddedReader(self.store.follow(), self.envelope, resume)


class EmbeddedReader:
    """One reader of the store's events."""

    def __init__(self, source: Source, envelope: Envelope, resume: Resume) -> None:
        self._source = source
        self._envelope = envelope
        self._after = resume(frozenset({0}))[0] - 1

    def partition(self, key: str) -> int:
        """The only one."""
        return 0

    def assigned(self) -> frozenset[int]:
        """The only one."""
        return frozenset({0})

    def seek(self, partition: int, offset: int) -> None:
        """Go on from this offset, which is a position."""
        self._after = offset - 1

    def poll(self, timeout: float) -> Sequence[Delivery]:
        """The next events; waits up to `timeout` seconds for one."""
        found = self._source.events(self._after, BATCH)
        if not found:
            self._source.wait(timeout)
            found = self._source.events(self._after, BATCH)
        if found:
            self._after = found[-1].position
        return [
            Delivery(0, r.position, r.stream, serialized(self._envelope.wrap(r))) for r in found
        ]

    def close(self) -> None:
        """Stop following."""
        self._source.close()
