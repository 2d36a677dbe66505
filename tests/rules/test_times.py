"""Times as text are RFC 3339 in UTC, as exactly as is asked for."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from domain.times import rfc3339

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "timespec", "text"),
    [
        (NOON, "auto", "2026-03-01T12:00:00Z"),
        (NOON.replace(microsecond=7), "auto", "2026-03-01T12:00:00.000007Z"),
        (NOON, "microseconds", "2026-03-01T12:00:00.000000Z"),
        (NOON.replace(microsecond=7), "seconds", "2026-03-01T12:00:00Z"),
        (NOON.astimezone(timezone(timedelta(hours=8))), "auto", "2026-03-01T12:00:00Z"),
        (None, "auto", None),
    ],
)
def test_a_time_is_written_in_utc(at: datetime | None, timespec: str, text: str | None) -> None:
    assert rfc3339(at, timespec) == text
