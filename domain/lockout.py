"""How failures lock: a ladder per account over every purpose, and a cap in any 30 days."""

from collections.abc import Sequence
from datetime import datetime, timedelta

STRIDE = 5
"""Every fifth failure since the last full success locks."""
CAP = 50
CAP_WINDOW = timedelta(days=30)
RECOVERY_TRIES = 5
RECOVERY_WINDOW = timedelta(hours=1)


def lock_after(failures: int) -> timedelta | None:
    """How long the `failures`-th failure in a row locks the account; None when it does not."""
    if failures % STRIDE:
        return None
    if failures < 10:
        return timedelta(minutes=15)
    return timedelta(hours=1) if failures < 20 else timedelta(hours=24)


def cap_until(failures: Sequence[datetime]) -> datetime | None:
    """When the oldest of the last `CAP` failures leaves the window; None while there are fewer."""
    return failures[-CAP] + CAP_WINDOW if len(failures) >= CAP else None


def capped_until(failures: Sequence[datetime], at: datetime) -> datetime | None:
    """The same, where that is still to come."""
    until = cap_until(failures)
    return until if until and until > at else None


def attempts_left(failures: int, failed_at: Sequence[datetime], at: datetime) -> int:
    """How many more failures until the next lock, on an account that is not locked now.

    `failures` are those in a row, `failed_at` the times of all.
    """
    in_window = len(since(failed_at, at - CAP_WINDOW))
    return min(STRIDE - failures % STRIDE, CAP - in_window)


def since(times: Sequence[datetime], start: datetime) -> tuple[datetime, ...]:
    """The times later than `start`."""
    return tuple(time for time in times if time > start)
