"""The folder var/ of a checkout, which one run or one `make clean` has to itself."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twinlock.dev.missing import CannotStart

VAR = Path(__file__).parents[2] / "var"
MASTER_KEY = VAR / "master.key"
OUTSIDE = VAR / "database-outside"
"""Is there once the master key has been used for a database that does not lie in var/."""


@contextmanager
def only_run() -> Iterator[None]:
    """Hold var/ for ourselves: two servers on one data folder would harm it."""
    with (VAR / "run.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotStart("This checkout runs already; stop that run first") from None
        yield
