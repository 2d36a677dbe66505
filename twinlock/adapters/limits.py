"""How many calls a caller made within the hour, counted across all processes."""

from datetime import datetime, timedelta
from math import ceil
from typing import Final

from twinlock.adapters.database import Database

HOUR: Final = timedelta(hours=1)
SCHEMA: Final = """
create table if not exists limited_calls (
    name text not null,
    caller bytea not null,
    since timestamptz not null,
    calls integer not null,
    primary key (name, caller)
);
create index if not exists limited_calls_age on limited_calls (since);
"""
ADMIT: Final = """
    insert into limited_calls as l (name, caller, since, calls) values (%s, %s, %s, 1)
    on conflict (name, caller) do update set
        since = case when l.since <= %s then excluded.since else l.since end,
        calls = case when l.since <= %s then 1 else least(l.calls, %s) + 1 end
    returning since, calls
"""


class Limits:
    """Implements `api.backend.Limiter`: an hour begins with a caller's first call in it."""

    schema = (SCHEMA,)

    def __init__(self, database: Database) -> None:
        """Connect nothing yet."""
        self._database = database

    def admit(self, name: str, caller: bytes, limit: int, at: datetime) -> int | None:
        """Count one call; the seconds to wait where it is one too many."""
        ended = at - HOUR
        row = self._database.fetch_one(ADMIT, (name, caller, at, ended, ended, limit))
        assert row is not None
        since: datetime = row[0]
        if row[1] <= limit:
            return None
        return max(1, ceil((since + HOUR - at).total_seconds()))

    def prune(self, at: datetime) -> int:
        """Drop the rows of hours gone by; how many."""
        return self._database.delete("limited_calls", "since <= %s", (at - HOUR,))
