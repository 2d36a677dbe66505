"""A small model of one member, written from the design and not from the code."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.rules.scenario import NOON

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@dataclass
class Model:
    """What the design says of one member; times are those of the member's own clock."""

    now: datetime = NOON
    bound: bool = False
    last_step: int = -1
    epoch: int = 0
    in_row: int = 0
    failed: list[datetime] = field(default_factory=list)
    lock: datetime = NOON
    recovery_left: set[int] = field(default_factory=set)
    hasty: list[datetime] = field(default_factory=list)
    mailed: tuple[str, datetime] | None = None
    mails: list[datetime] = field(default_factory=list)
    enrolling_until: datetime = NOON
    ticket: str | None = None

    def locked_until(self) -> datetime | None:
        """The later of ladder and cap."""
        recent = [time for time in self.failed if time > self.now - 30 * DAY]
        cap = recent[-50] + 30 * DAY if len(recent) >= 50 else NOON
        until = max(self.lock, cap)
        return until if until > self.now else None

    def fail(self) -> None:
        """Count a failure."""
        self.in_row += 1
        self.failed.append(self.now)
        if self.in_row % 5 == 0:
            rungs = {5: 15 * MINUTE, 10: HOUR, 15: HOUR}
            self.lock = max(self.lock, self.now + rungs.get(self.in_row, DAY))

    def succeed(self) -> None:
        """A full success resets the ladder, never the cap, under which the account stays locked."""
        self.in_row, self.lock = 0, self.now
        if not self.locked_until():
            self.hasty = []

    def code(self, step: int) -> str:
        """What becomes of the code of a step."""
        if not self.bound:
            return "not-bound"
        if self.locked_until():
            return "locked"
        if abs(step - int(self.now.timestamp()) // 30) > 1:
            self.fail()
            return "code-rejected"
        if step <= self.last_step:
            return "code-rejected"
        self.last_step = step
        self.succeed()
        return "granted"

    def recovery(self, index: int | None) -> str:
        """What becomes of a recovery code; None is a wrong one."""
        if not self.bound:
            return "not-bound"
        locked = self.locked_until() is not None
        if locked and sum(time > self.now - HOUR for time in self.hasty) >= 5:
            return "locked"
        if index in self.recovery_left:
            self.recovery_left.remove(index)
            self.succeed()
            return "granted"
        self.hasty.extend([self.now] if locked else [])
        self.fail()
        return "code-rejected"

    def unbind(self, *, by_ticket: bool) -> None:
        """The authenticator is off; a ticket is the way out of every lock."""
        self.bound, self.last_step, self.ticket = False, -1, None
        self.recovery_left, self.enrolling_until = set(), NOON
        self.epoch += 1
        if by_ticket:
            self.in_row, self.failed, self.lock = 0, [], NOON
