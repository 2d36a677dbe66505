"""Times as text: RFC 3339, with any offset as it comes, and in UTC as it leaves."""

import re
from datetime import UTC, datetime
from typing import overload

EPOCH = datetime.fromtimestamp(0, UTC)
"""The beginning of time, for what has not happened yet."""
RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})",
    re.ASCII,
)


@overload
def rfc3339(at: datetime, timespec: str = "auto") -> str: ...
@overload
def rfc3339(at: None, timespec: str = "auto") -> None: ...
@overload
def rfc3339(at: datetime | None, timespec: str = "auto") -> str | None: ...
def rfc3339(at: datetime | None, timespec: str = "auto") -> str | None:
    """An aware time in UTC with `Z`; None stays None.

    `timespec` is that of `datetime.isoformat`; "auto" leaves out microseconds that are zero.
    """
    return at.astimezone(UTC).isoformat(timespec=timespec)[:-6] + "Z" if at else None


def moment(text: str) -> datetime:
    """The time that the text says, in UTC; raises ValueError."""
    if not RFC3339.fullmatch(text):
        raise ValueError("is no RFC 3339 time with an offset")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (OverflowError, ValueError):  # the library's words hold what was given
        raise ValueError("is out of range") from None


def stored_moment(text: str) -> datetime:
    """The time as events keep it, in UTC and no other zone; raises ValueError."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is not UTC:
        raise ValueError("a time is not UTC")
    return at
