"""The store's own records as entries, without the way through a log."""

from collections.abc import Iterable

from projections.journal import Entry
from workers.history import entry_of
from workers.ports import StoredRecord


def entries_of(records: Iterable[StoredRecord]) -> list[Entry]:
    """What read models are given of stored records; raises for one that cannot be read."""
    return [entry_of(record) for record in records]
