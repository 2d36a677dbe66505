"""`make clean` for var/: all of it goes, unless a run is up or the master key is still needed."""

import os
import shutil
import sys

from twinlock.dev import postgres
from twinlock.dev.missing import CannotStart
from twinlock.dev.var import MASTER_KEY, OUTSIDE, VAR, only_run


def main() -> None:
    """Remove var/ and what it leads to; status 1 with one line where it stays."""
    try:
        if VAR.exists():
            with only_run():
                _remove()
    except CannotStart as error:
        sys.exit(f"var/ stays: {error}")
    except OSError as error:
        sys.exit(f"var/ could not be removed, or not whole: {error}")


def _remove() -> None:
    if VAR.is_symlink():
        raise CannotStart("it is a link; remove it, and what it leads to, by hand")
    if OUTSIDE.exists() and MASTER_KEY.exists() and os.environ.get("FORCE", "0") in ("", "0"):
        raise CannotStart(
            "the database that TWINLOCK_DATABASE named is of no use without var/master.key; "
            "copy that file, or give it up, then: make clean FORCE=1"
        )
    postgres.remove(VAR / "postgres")
    shutil.rmtree(VAR)


if __name__ == "__main__":
    main()
