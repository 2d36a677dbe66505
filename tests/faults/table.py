"""The table of faults: on the terminal while they happen, and in docs/faults.md."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.faults.oracle import Verdict
from tests.faults.scenarios import Scenario, Seen

PAGE: Final = Path(__file__).parents[2] / "docs/faults.md"
SHOWN: Final = """\
What `make faults` has injected into real processes, and what came of it. Clients keep a journal
of what they were told: codes accepted and refused, logins granted without a code, bindings, and
unbindings by ticket. It is compared with a replay of the store, and each event of the store with
the topic, each read model and the audit trail. *Lost* is what was acknowledged or stored and is
missing in one of them; *doubled* is a step accepted twice, a command done twice, or a place in a
stream taken twice. *Recovery* is in seconds: for the API and the database until a client is
served again, for relay, broker, projector and mailer until they have caught up. F-numbers are
rows of the fault table.
"""
NOT_SHOWN: Final = """\
## What operators need to know of it

- **A restored backup (F26).** Start the relay before the API. It reads what the topic has told, and
  has the store draw its next positions beyond that, so that no position ever means two events. What
  came after the backup stays on the topic; projectors set it aside (`twinlock parked`), and there
  it tells who bound, unbound or was erased in the lost time. A store that has served before its
  relay led is not mixed with the old topic: the relay refuses (`TopicAhead`) until `TWINLOCK_TOPIC`
  names another one, which it fills from the beginning. Passes of the lost time stay valid until
  they expire, or their member's sessions are revoked.
- **A worker of the API that crashes twice within six seconds** takes its server along: `serve`
  ends, and whatever supervises it has to start it anew, as docker-compose.yml does.
- **A frozen relay** keeps its lock as long as its database session lives; ending that session
  (`pg_terminate_backend`) lets another one lead.
- **An unreadable event in the store (F18)** stops its own account, with 503. The rest goes on, the
  stream shows `twinlock.unreadable.v1` in its place, and `twinlock parked` lists it until its row
  is what it was and each line is tried again ([operations.md](operations.md#health)).
- **A clock that was ahead (F21)** has taken the time of the streams that it wrote to along. Those
  members' codes are refused until time has caught up; their recovery codes are not. Logins that it
  opened pend until its time, by the database's clock, which is later by as much. Under a clock that
  is behind, logins have ended before they begin.

## What is not shown

- **Acknowledgements of other kinds.** Policies, memberships and what happens to a ticket before its
  approval are not in the clients' journal. Their events are compared like all others from the store
  on; that none was lost between the answer and the store is shown for the kinds above.
- **F6, F7: an answer within 2 s.** A statement has 2 s for a lock, and a request gives a silent
  server up after 2.5 s; but where all threads of a process wait, another request waits for one of
  them first. Held are 3.5 s with a frozen server and 4.5 s with a locked table.
- **F21: an alarm.** No process watches its clock. `twinlock doctor` does when it is run, and the
  row holds that it tells of an hour.
- **F27: no master key at all.** The row hides that of one member. A process whose keys don't open
  the vault does not start (`tests/live/test_vault.py`).
- **The notary** does not run beside these faults: it would call an event that is mended in its
  place (F18), and a backup that is restored (F26), what they are, a changed history
  (`tests/live/test_notary.py`).

## What one machine does not show

- **Power loss.** A killed process leaves the operating system's cache whole, so no test here shows
  that the disk keeps what it has flushed. Twinlock refuses to start on a server with `fsync`,
  `full_page_writes` or `synchronous_commit` off; the rest is PostgreSQL's promise and the disk's.
- **F5, F26: a failover and point-in-time recovery.** Restarts and a cold copy of the files stand
  in for them; a standby and an archive of the write-ahead log need a second machine to mean much.
- **F12, F13: a lost replica's disk.** Three brokers on one disk lose it together; killed one by one
  they show leader elections, and a shortened segment shows the tail that an unclean one loses.
- **F10 with F13: a frozen relay, thawed just after another has noticed a loss.** Its last batch may
  land in the new generation ([ADR 8](adr/0008-a-topic-is-believed-where-it-was-recorded.md)).
- **F6, F12, F22: long absences.** Broker, database and mail server stay away for seconds and not
  for minutes, to keep the run short; `--seconds 600` keeps them away for ten minutes. What queues
  up meanwhile is the store itself, and a table of mails: neither is bounded by memory.
- **F16 beyond five minutes.** A group gives a member up after 6 s without a heartbeat, which a
  frozen process cannot send; the limit on the time between polls is not waited for.
- **F24: the mailer's lease.** A mail whose mailer died is taken again after a minute; the test ends
  that minute early, so 60 s come on top of the time in the table.
- **F28: two releases.** There is one so far; a later version of an event and an unknown type are
  among the poison of F18, and upcasting is tested where events are read.
- **Network partitions, packet loss, bad disks.** Frozen processes and broken connections stand in.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A scenario that was played, with what was seen and judged."""

    scenario: Scenario
    seen: Seen | None
    verdict: Verdict
    failure: str = ""

    @property
    def trouble(self) -> str:
        """What was raised, or that nothing came of the fault."""
        idle = self.seen is not None and self.seen.injected < 1
        return self.failure or ("nothing was injected" if idle else "")

    @property
    def well(self) -> bool:
        """Whether something was injected, and everything held."""
        return not (self.trouble or self.verdict.lost or self.verdict.doubled)

    def line(self) -> str:
        """The row for the terminal."""
        name = f"{self.scenario.row:4}{self.scenario.fault[:66]:68}"
        if self.seen is None:
            return f"{name}FAILED: {self.trouble}"
        lost, doubled = self.verdict.lost, self.verdict.doubled
        figures = f"{self.seen.injected:9}{lost:6}{doubled:9}{self.seen.recovery:10.1f}"
        return f"{name}{figures}  {self.trouble or self.seen.says}"


HEAD: Final = f"{'':4}{'fault':68}{'injected':>9}{'lost':>6}{'doubled':>9}{'recovery':>10}"


def total(rows: Sequence[Row]) -> int:
    """How many faults were injected."""
    return sum(row.seen.injected for row in rows if row.seen)


def summary(rows: Sequence[Row], pairs: int, events: int, seconds: float) -> str:
    """The figures below the table."""
    lost = sum(row.verdict.lost for row in rows)
    doubled = sum(row.verdict.doubled for row in rows)
    return (
        f"{total(rows)} faults; {lost} lost, {doubled} doubled;"
        f" {pairs} pairs of requests with one code; {events} events; {seconds:.0f} s"
    )


def write(rows: Sequence[Row], said: str) -> None:
    """Write docs/faults.md."""
    lines = [
        "# Faults",
        "",
        SHOWN,
        f"Measured on {datetime.now(UTC):%Y-%m-%d}: {machine()}. {said}.",
        "",
        "| | fault | injected | lost | doubled | recovery, s | |",
        "|---|---|---|---|---|---|---|",
        *(_cells(row) for row in rows),
        "",
        NOT_SHOWN,
    ]
    PAGE.write_text("\n".join(lines))


def machine() -> str:
    """What kind of machine this is."""
    python = platform.python_version()
    return f"{os.cpu_count()} shared cores, {platform.system()}, CPython {python}"


def _cells(row: Row) -> str:
    name = f"| {row.scenario.row} | {row.scenario.fault} "
    if row.seen is None:
        return f"{name}| | | | | failed: {row.trouble} |"
    figures = f"| {row.seen.injected} | {row.verdict.lost} | {row.verdict.doubled} "
    return f"{name}{figures}| {row.seen.recovery:.1f} | {row.trouble or row.seen.says} |"
