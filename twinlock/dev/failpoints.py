"""Places at which a process can be made to die or to lose an answer; patched in from outside.

No code of production knows of them: they exist in processes that `twinlock.dev.failing` starts.
The plan is a file that is read at each place, so that it can change under a running process:
one line, `place chance`, of which nothing is left where no fault is wanted.
"""

import os
import random
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from psycopg import OperationalError

from twinlock.adapters import recorder
from twinlock.adapters.mail import SmtpOutbox
from twinlock.adapters.recorder import Recorder
from workers import mail_queue, projector, relay

PLAN: Final = "TWINLOCK_FAILPOINTS"
"""The environment variable that names the plan's file."""
MOMENT: Final = 0.004
"""Seconds within which a process dies that dies during something."""


class Failpoints:
    """The places, each wrapped around the function that it lies before, in, or behind."""

    def __init__(self, plan: Path) -> None:
        """Wrap nothing yet; each fault adds a line to a file beside the plan."""
        self._plan = plan
        self._tally = plan.with_suffix(".tally")

    def arm(self) -> None:
        """Wrap all of them."""
        self._around(Recorder, "insert_events", "append")
        self._around(relay._Lead, "put", "put")
        self._around(relay._Lead, "_record", "mark")
        self._around(projector._Marks, "write", "progress")
        self._around(projector.Projector, "_batch", "batch")
        self._around(SmtpOutbox, "send", "send")
        self._around(mail_queue, "settle", "settle")
        self._lose_answers()

    def _around(self, home: Any, name: str, place: str) -> None:
        real: Callable[..., Any] = getattr(home, name)

        def wrapped(*given: Any, **named: Any) -> Any:
            self._die_if(f"before-{place}")
            if self._hit(f"during-{place}"):
                threading.Timer(random.uniform(0, MOMENT), die).start()  # noqa: S311 - no secret
            done = real(*given, **named)
            self._die_if(f"after-{place}")
            return done

        setattr(home, name, wrapped)

    def _lose_answers(self) -> None:
        """The commit succeeds, and the connection breaks before its answer comes."""
        real = recorder._append

        def wrapped(connection: Any, *given: Any) -> Any:
            done = real(connection, *given)
            if self._hit("lost-answer"):
                connection.close()
                raise OperationalError("the answer was lost")
            return done

        vars(recorder)["_append"] = wrapped

    def _die_if(self, place: str) -> None:
        if self._hit(place):
            die()

    def _hit(self, place: str) -> bool:
        """Whether the plan wants a fault here and now; counted before it happens."""
        try:
            wanted, chance = self._plan.read_text().split()
        except (OSError, ValueError):
            return False
        if wanted != place or random.random() >= float(chance):  # noqa: S311 - no secret
            return False
        with self._tally.open("a") as tally:
            tally.write(f"{place}\n")
        return True


def die() -> None:
    """End this process as a crash would."""
    os.kill(os.getpid(), signal.SIGKILL)
