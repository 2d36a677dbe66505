"""Reads records without their headers, which are for consumers that filter: ours read bodies.

kafka-python decodes a dozen headers of each record in Python, which takes longer than all else that
a projector does with the record. Everything but the record itself is left to kafka-python.
"""

from typing import Any

from kafka.consumer.fetcher import Fetcher
from kafka.errors import CorruptRecordError
from kafka.record.default_records import DefaultRecord, DefaultRecordBatch
from kafka.record.util import decode_varint


def without_headers(consumer: Any) -> None:
    """Have the consumer answer records without headers from now on."""
    consumer._fetcher.PartitionRecords = _Records


class _Records(Fetcher.PartitionRecords):  # type: ignore[misc]
    def _unpack_records(self, place: Any, records: Any, *more: Any) -> Any:
        return super()._unpack_records(place, _Batches(records), *more)


class _Batches:
    """The batches of a partition, those of today's format as `Batch`."""

    def __init__(self, records: Any) -> None:
        self._records = records

    def next_batch(self) -> Any:
        """The next batch; None at the end."""
        batch = self._records.next_batch()
        if type(batch) is DefaultRecordBatch and not batch.is_control_batch:
            batch.__class__ = Batch
        return batch

    def __getattr__(self, name: str) -> Any:
        """Whatever else is asked of them."""
        return getattr(self._records, name)


class Batch(DefaultRecordBatch):  # type: ignore[misc]
    """A batch whose records come without headers."""

    __slots__ = ()

    def _read_msg(self, decode_varint: Any = decode_varint) -> DefaultRecord:
        """The next record; the format is Kafka's message format 2."""
        buffer = self._buffer
        length, begin = decode_varint(buffer, self._pos)  # type: ignore[has-type]
        delta, at = decode_varint(buffer, begin + 1)  # behind a byte of attributes
        offset, at = decode_varint(buffer, at)
        key, at = _bytes(buffer, *decode_varint(buffer, at))
        value, at = _bytes(buffer, *decode_varint(buffer, at))
        self._pos = end = begin + length  # type: ignore[misc]
        if not at < end <= len(buffer):
            raise CorruptRecordError("a record does not end where it says")
        kind = self.timestamp_type
        time = self.max_timestamp if kind == self.LOG_APPEND_TIME else self.first_timestamp + delta
        return DefaultRecord(length, self.base_offset + offset, time, kind, key, value, [])


def _bytes(buffer: bytearray, length: int, at: int) -> tuple[bytes | None, int]:
    return (None, at) if length < 0 else (bytes(buffer[at : at + length]), at + length)
