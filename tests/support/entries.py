"""The store's own records as entries, without the way through a log."""

import json
from collections.abc import Iterable

from projections.journal import Entry, entry
from workers.ports import StoredRecord


def entries_of(records: Iterable[StoredRecord]) -> list[Entry]:
    """What read models are given of stored records; raises for one that cannot be read."""
    return [
        entry(
            position=record.position,
            stream=record.stream,
            version=record.version,
            topic=record.topic,
            state=json.loads(record.state),
        )
        for record in records
    ]
