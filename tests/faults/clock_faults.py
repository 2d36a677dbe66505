"""Faults of time: the API's clock ahead, behind, and right again."""

import subprocess
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.faults.asking import enters, insisted, opened
from tests.faults.ground import Ground
from tests.faults.people import STEP, Bound, step_now
from tests.faults.scenarios import Seen, Size, hold, scenario
from tests.flow.installation import TWINLOCK
from tests.flow.people import a_member, a_workspace, confirm_mailbox, log_in

HOUR = 3600
LIFE = 600
"""Seconds for which a login pends, and for which a mailed code holds."""
PLACES = ("lib*/*/faketime", "lib*/faketime", "local/lib/faketime")


@dataclass
class Spent:
    """A login that pends all the while, and a mailed code; all that is given to them is over."""

    member: Bound
    login: Any
    steps: list[int]
    path: str
    token: str
    mailed: str


@scenario("F21", "the API's clock an hour ahead, an hour behind, and right again")
def clocks(ground: Ground, size: Size) -> Seen:
    """What was used stays used, and what has ended stays ended, whatever the clock says."""
    spent = spend(ground)
    try:
        serve_at(ground, HOUR)
        still_over(ground, spent)
        ahead = step_now() + HOUR // STEP
        fresh = opened_at(ground, spent.member, HOUR)
        hold(enters(ground, fresh, spent.member, ahead) == 200, "a right code is refused ahead")
        for offset in (-HOUR, 0):
            serve_at(ground, offset)
            opened_at(ground, spent.member, offset)
            spent.steps[1:] = [ahead - 1, ahead, step_now() + offset // STEP]
            still_over(ground, spent)
    finally:
        serve_at(ground, 0)
    return Seen(3, ground.settle(), "steps used 2, each once; a mailed code ended for good")


def spend(ground: Ground) -> Spent:
    """Use a step while the clock is right, and have a code mailed that is not used."""
    taken = ground.people.take()
    assert taken is not None
    member, step = taken
    first, pending = opened_at(ground, member, 0), opened(ground, member)
    hold(enters(ground, first, member, step) == 200, "a right code is refused")
    person = a_member(ground.here, a_workspace(ground.here, enforced=True))
    token = log_in(ground.here, person)["login_token"]
    mailed = confirm_mailbox(ground.here, person, token)
    return Spent(member, pending, [step], f"{person.mfa}/enrolment", token, mailed)


def still_over(ground: Ground, spent: Spent) -> None:
    """No step up to the last one and no mailed code is accepted, and no login pends longer."""
    for step in spent.steps:
        status = enters(ground, spent.login, spent.member, step)
        hold(status == 403, f"{status} for the code of a step that is over")
    status = insisted(ground, spent.path, spent.token, {"email_code": spent.mailed}).status
    hold(status == 403, f"{status} for a mailed code that has ended")
    path, token = f"/v1/logins/{spent.login['login_id']}", spent.login["login_token"]
    until = ground.here.client.get(path, token).body["expires_at"]
    hold(until == spent.login["expires_at"], f"a login pends until {until}")


def opened_at(ground: Ground, member: Bound, offset: int) -> Any:
    """A new login, which tells what the API takes for the time."""
    login = opened(ground, member)
    ends = datetime.fromisoformat(login["expires_at"]).timestamp()
    off = ends - LIFE - time.time()
    hold(abs(off - offset) < 5, f"the API's clock is {off:+.0f} s off, and not {offset:+d} s")
    return login


def serve_at(ground: Ground, offset: int) -> None:
    """Serve anew, with another clock, of which the doctor tells."""
    more = faked(offset) if offset else {}
    ground.kill("serve")
    ground.serve(**more)
    env = {**ground.here.env, **more}
    said = subprocess.run([TWINLOCK, "doctor"], env=env, capture_output=True, text=True).stdout
    hold(("codes depend on it" in said) == bool(offset), f"of {offset:+d} s the doctor says {said}")


def faked(offset: int) -> dict[str, str]:
    """What has a process believe that it is so many seconds later."""
    found = [path for place in PLACES for path in Path("/usr").glob(f"{place}/libfaketimeMT.so.1")]
    hold(bool(found), "libfaketime is not installed")
    clock = {"FAKETIME": f"{offset:+d}s", "DONT_FAKE_MONOTONIC": "1"}
    return {"LD_PRELOAD": str(found[0]), **clock}
