"""Records are read as kafka-python reads them, less their headers."""

import pytest
from kafka.errors import CorruptRecordError
from kafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from twinlock.adapters.kafka_records import Batch

RECORDS = [
    (b"key", b"value", [("a", b"1"), ("b", None)]),
    (None, b"x" * 70_000, []),
    (b"", None, [("long", b"y" * 500)] * 12),
    ("ключ".encode(), b"", [("é", b"")]),
]


def a_batch(compression: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=compression,
        is_transactional=False,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 20,
    )
    for offset, (key, value, headers) in enumerate(RECORDS):
        builder.append(offset, 1_700_000_000_000 + offset * 999, key, value, headers)
    return bytes(builder.build())


@pytest.mark.parametrize("compression", [0, 1])
def test_all_but_the_headers_is_the_same(compression: int) -> None:
    plain, lean = DefaultRecordBatch(a_batch(compression)), Batch(a_batch(compression))
    assert lean.validate_crc()
    for one, other in zip(plain, lean, strict=True):
        assert other.headers == []
        for name in ("offset", "timestamp", "timestamp_type", "key", "value", "size_in_bytes"):
            assert getattr(one, name) == getattr(other, name)


@pytest.mark.parametrize("bits", [0x02, 0x7E, 0x80])
def test_a_record_of_another_length_is_corrupt(bits: int) -> None:
    whole = bytearray(a_batch())
    whole[DefaultRecordBatch.HEADER_STRUCT.size] ^= bits
    with pytest.raises(CorruptRecordError):
        list(Batch(bytes(whole)))
