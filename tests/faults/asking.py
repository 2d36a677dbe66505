"""One client, who asks until the answer is sure."""

import time
from typing import Any

from tests.faults.ground import Ground
from tests.faults.load import Answer
from tests.faults.people import WORKSPACE, Bound, code_at
from tests.faults.scenarios import hold


def insisted(ground: Ground, path: str, token: str, body: Any, seconds: float = 60) -> Answer:
    """Ask until the answer is sure."""
    deadline = time.monotonic() + seconds
    while True:
        answer = ground.load.browser.ask(path, token, body)
        if not answer.unsure:
            return answer
        hold(time.monotonic() < deadline, "no sure answer in time")
        time.sleep(0.1)


def opened(ground: Ground, member: Bound) -> Any:
    """A new login."""
    body = {"workspace_id": WORKSPACE, "member_id": member.id}
    return insisted(ground, "/v1/logins", ground.load.host, body).body


def enters(ground: Ground, login: Any, member: Bound, step: int) -> int:
    """What a login says to the code of a step."""
    path, body = f"/v1/logins/{login['login_id']}/code", {"code": code_at(member.secret, step)}
    return insisted(ground, path, login["login_token"], body).status
