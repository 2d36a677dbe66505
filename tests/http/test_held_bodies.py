"""A body that is held back: what counts is what holds when it is all there."""

import io
import json
from collections.abc import Callable
from typing import Any

from commands.dispatch import run
from commands.revoke_sessions import RevokeSessions
from commands.revoke_token import RevokeToken
from domain.facts import Actor
from tests.http.installation import Installation, Reply, totp


class Held(io.BytesIO):
    """A request's body; something happens before its first byte comes."""

    def __init__(self, body: bytes, meanwhile: Callable[[], object]) -> None:
        super().__init__(body)
        self._meanwhile: list[Callable[[], object]] = [meanwhile]

    def read(self, size: int | None = -1) -> bytes:
        while self._meanwhile:
            self._meanwhile.pop()()
        return super().read(size)

    def readinto(self, buffer: Any) -> int:
        while self._meanwhile:
            self._meanwhile.pop()()
        return super().readinto(buffer)


def held(
    here: Installation, method: str, path: str, token: str, body: Any, meanwhile: Callable[[], Any]
) -> Reply:
    raw = json.dumps(body).encode()
    return here.call(
        method,
        path,
        token,
        input_stream=Held(raw, meanwhile),
        content_type="application/json",
        content_length=len(raw),
    )


def system(here: Installation, command: Any) -> None:
    run(command, here.twinlock.context(Actor("operator"), "test"), here.twinlock.desk)


def test_a_code_is_judged_by_the_time_at_which_it_came(here: Installation) -> None:
    member = here.bound(here.workspace())
    login = here.login(member)
    here.clock.wait(seconds=30)
    code = totp(member.secret, here.clock())
    path = f"/v1/logins/{login['login_id']}/code"
    late = held(
        here,
        "POST",
        path,
        login["login_token"],
        {"code": code},
        lambda: here.clock.wait(minutes=3),
    )
    assert late.told == (403, "code-rejected")


def test_an_agent_whose_token_is_revoked_meanwhile_approves_nothing(here: Installation) -> None:
    member = here.bound(here.workspace())
    path = f"/v1/tickets/{here.ticket(member)['ticket_id']}"
    agent = here.token("support", member=f"agent-{member.id}")
    found = here.twinlock.credentials.find("api", agent)
    assert found is not None
    assert here.post(f"{path}/claim", agent).status == 200
    said = held(
        here,
        "POST",
        f"{path}/approve",
        agent,
        {"reason": "ok"},
        lambda: system(here, RevokeToken(token_id=found.subject)),
    )
    assert said.told == (401, "unauthenticated")
    assert here.get(path, "support").body["approvals"] == 0


def test_an_owner_who_is_signed_out_meanwhile_changes_no_policy(here: Installation) -> None:
    owner = here.bound(here.workspace(), "owner")
    said = held(
        here,
        "PUT",
        f"/v1/workspaces/{owner.workspace_id}/mfa-policy",
        owner.granted,
        {"mode": "enforced", "code": here.code(owner)},
        lambda: system(here, RevokeSessions(member_id=owner.id)),
    )
    assert said.told == (401, "unauthenticated")
    policy = here.get(f"/v1/workspaces/{owner.workspace_id}/mfa-policy", "host").body
    assert policy["mode"] == "off"
