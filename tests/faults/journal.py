"""The clients' journal: every acknowledgement with its position and meaning, and when it came."""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

ACCEPTED: Final = "mfa.code_accepted"
REJECTED: Final = "mfa.code_rejected"
GRANTED: Final = "mfa.login_granted"
BOUND: Final = "mfa.bound"
UNBOUND: Final = "mfa.unbound"


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What a 2xx, or a refusal that is a fact, has promised: such an event at this position.

    `key` is the login's id, of an unbinding the ticket's, or empty where the position alone tells.
    """

    type: str
    member_id: str
    position: int
    key: str = ""
    step: int = 0


@dataclass
class Journal:
    """All acknowledgements, and the moments of all answers."""

    entries: list[Acknowledged] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    """How often logins were asked for, a repeat under the same key not counted, by member."""
    good: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    curt: int = 0
    """How many answers were 503 and did not say when to try again."""
    slowest: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, entry: Acknowledged) -> None:
        """Keep an acknowledgement."""
        with self._lock:
            self.entries.append(entry)

    def ask(self, member_id: str) -> None:
        """A login without a code was asked for, whatever becomes of it."""
        with self._lock:
            self.asked[member_id] += 1

    def answer(self, status: int, took: float, retry_after: str = "") -> None:
        """Note an answer; 0 stands for a connection that broke."""
        with self._lock:
            self.statuses[status] += 1
            self.curt += status == 503 and not retry_after.isdigit()
            self.slowest = max(self.slowest, took)
            if 0 < status < 500:
                self.good.append(time.monotonic())

    def forget_after(self, position: int, asked: Counter[str]) -> int:
        """Drop what was acknowledged later, as restoring a backup does; how many.

        `asked` is what had been asked for when the backup was made.
        """
        with self._lock:
            self.asked = asked
            kept = [entry for entry in self.entries if entry.position <= position]
            dropped, self.entries = len(self.entries) - len(kept), kept
        return dropped

    def begin(self) -> None:
        """Forget the moments of the answers, and how they were."""
        with self._lock:
            self.good = [time.monotonic()]
            self.statuses, self.curt, self.slowest = Counter(), 0, 0.0

    def unruly(self) -> dict[int, int]:
        """By status, since `begin`, what was neither 2xx nor 4xx nor a 503 with Retry-After."""
        with self._lock:
            counted = Counter({**self.statuses, 503: self.curt})
        return {status: n for status, n in counted.items() if n and status // 100 not in (2, 4)}

    def longest_gap(self) -> float:
        """The longest time in seconds without a good answer, since `begin`."""
        with self._lock:
            moments = [*self.good]
        return max((later - earlier for earlier, later in pairwise(moments)), default=0.0)

    def first_good_after(self, moment: float) -> float | None:
        """How many seconds after the moment the first good answer came."""
        with self._lock:
            return next((each - moment for each in self.good if each >= moment), None)
