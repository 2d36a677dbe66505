"""Times as text, in the one form that leaves: RFC 3339, in UTC."""

from datetime import UTC, datetime
from typing import overload


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
