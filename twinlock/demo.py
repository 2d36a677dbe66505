"""The demonstration realm: made with the same commands that everybody uses."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from commands.bind_mfa import BindMFA
from commands.create_token import CreateToken
from commands.dispatch import run
from commands.mailed import code_key
from commands.put_member import PutMember
from commands.put_workspace import PutWorkspace
from commands.revoke_token import RevokeToken
from commands.send_bind_code import SendBindCode
from commands.set_policy import SetPolicy
from commands.start_enrolment import StartEnrolment
from domain import totp
from domain.member_mfa import MemberMFA
from domain.onetime import BIND, email_code
from domain.workspace import ENFORCED
from twinlock.composition import Twinlock
from twinlock.running import context

WORKSPACE: Final = "demo"
STAFF: Final = "staff"
NAMED: Final = "demo"
BOUND: Final = "demo-bound"
OWNER: Final = "demo-owner"
PASSWORD: Final = "twinlock-demo"  # noqa: S105 - for demonstrations, and nowhere else
"""Of everybody in the demonstration realm."""


@dataclass(frozen=True, slots=True)
class Person:
    """A member of the demonstration, named by role."""

    id: str
    name: str
    role: str
    bound: bool
    staff: bool = False

    @property
    def email(self) -> str:
        """An address at a domain that nobody owns (RFC 2606)."""
        return f"{self.id}@example.com"


PEOPLE: Final = (
    Person(OWNER, "Owner", "owner", bound=True),
    Person(BOUND, "Bound member", "member", bound=True),
    Person("demo-member", "Member", "member", bound=False),
    Person("demo-agent-a", "First agent", "support", bound=True, staff=True),
    Person("demo-agent-b", "Second agent", "support", bound=True, staff=True),
    Person("demo-auditor", "Auditor", "auditor", bound=True, staff=True),
)


def seed(twinlock: Twinlock) -> dict[str, Any]:
    """Make what is missing, end the older demonstration tokens, and answer what there is."""
    staff = twinlock.settings.staff_workspace or STAFF
    _do(twinlock, PutWorkspace(workspace_id=WORKSPACE, name="Demo"))
    _do(twinlock, PutWorkspace(workspace_id=staff, name="Staff"))
    for person in _living(twinlock):
        _put(twinlock, person, staff if person.staff else WORKSPACE)
    _do(twinlock, SetPolicy(workspace_id=staff, mode=ENFORCED))
    _revoke_tokens(twinlock)
    return {"tokens": _tokens(twinlock), "workspace_id": WORKSPACE, "members": _members(twinlock)}


def code(twinlock: Twinlock, member_id: str) -> str | None:
    """A code that is accepted now and was not spent, after waiting for it if need be.

    None for a member without an authenticator, bound or pending.
    """
    while True:
        member = twinlock.store.load(MemberMFA, member_id)
        now = datetime.now(UTC)
        pending = member.pending_enrolment(now)
        binding_id = member.binding_id or (pending.id if pending else None)
        if binding_id is None:
            return None
        current = totp.step_at(now)
        step = max(current, member.last_step + 1)
        if step <= current + twinlock.settings.code_window:
            secret = twinlock.vault.open(f"member/{member_id}", f"totp/{binding_id}").decode()
            return totp.code_for(secret, step)
        time.sleep(0.2)


def _living(twinlock: Twinlock) -> list[Person]:
    """All but those whom somebody erased, whose ids are never used again."""
    return [each for each in PEOPLE if not twinlock.store.load(MemberMFA, each.id).erased]


def _do(twinlock: Twinlock, command: Any) -> Any:
    return run(command, context(twinlock), twinlock.desk)


def _put(twinlock: Twinlock, person: Person, workspace_id: str) -> None:
    _do(
        twinlock,
        PutMember(
            workspace_id=workspace_id,
            member_id=person.id,
            email=person.email,
            name=person.name,
            role=person.role,
        ),
    )
    twinlock.passwords.put(
        member_id=person.id, email=person.email, workspace_id=workspace_id, password=PASSWORD
    )
    if person.bound and not twinlock.store.load(MemberMFA, person.id).bound:
        _bind(twinlock, person, workspace_id)


def _bind(twinlock: Twinlock, person: Person, workspace_id: str) -> None:
    _do(twinlock, SendBindCode(member_id=person.id))
    challenge = twinlock.store.load(MemberMFA, person.id).challenge(BIND)
    assert challenge is not None
    mailed = email_code(
        code_key(twinlock.keys),
        purpose=BIND,
        member_id=person.id,
        challenge_id=challenge.id,
    )
    opened = _do(twinlock, StartEnrolment(member_id=person.id, email_code=mailed))
    now = totp.code_for(opened.secret, totp.step_at(datetime.now(UTC)))
    _do(twinlock, BindMFA(member_id=person.id, workspace_id=workspace_id, code=now))


def _revoke_tokens(twinlock: Twinlock) -> None:
    for each in twinlock.credentials.of_kind("api"):
        if twinlock.vault.peek(f"token/{each.subject}", "name") == NAMED.encode():
            _do(twinlock, RevokeToken(token_id=each.subject))


def _tokens(twinlock: Twinlock) -> dict[str, Any]:
    def make(role: str, member: str | None = None, workspace: str | None = None) -> str:
        command = CreateToken(role=role, name=NAMED, member_id=member, workspace_id=workspace)
        return str(_do(twinlock, command).token)

    living = {person.id: person.role for person in _living(twinlock)}
    return {
        "host": make("host"),
        "owner": make("owner", OWNER, WORKSPACE) if OWNER in living else None,
        "support": [make("support", id_) for id_, role in living.items() if role == "support"],
        "auditor": make("auditor"),
        "analyst": make("analyst"),
    }


def _members(twinlock: Twinlock) -> list[dict[str, Any]]:
    return [
        {
            "member_id": person.id,
            "email": person.email,
            "role": person.role,
            "bound": twinlock.store.load(MemberMFA, person.id).bound,
        }
        for person in _living(twinlock)
    ]
