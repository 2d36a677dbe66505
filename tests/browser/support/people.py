"""People for one test each: members with or without an authenticator, and their codes."""

import secrets
import subprocess
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from commands.bind_mfa import BindMFA
from commands.ports import Context
from commands.put_member import PutMember
from commands.put_workspace import PutWorkspace
from commands.send_bind_code import SendBindCode
from commands.set_policy import SetPolicy
from commands.start_enrolment import StartEnrolment
from domain.member_facts import MemberAdded, MFABound, Registered
from domain.member_mfa import MemberMFA
from domain.onetime import BIND, email_code
from tests.browser.support.site import HOST, Site

STEP = 30
BEFORE = timedelta(minutes=20)
"""People were bound so long ago that every code of now is unspent."""


def oath_code(secret: str, at: datetime) -> str:
    """The code of the base32 secret, by a program that is none of ours."""
    command = ["oathtool", "--totp", "-b", "--now", at.strftime("%Y-%m-%d %H:%M:%S UTC"), secret]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@dataclass
class Person:
    """A member of one workspace; `secret` is what the authenticator app holds."""

    id: str
    name: str
    email: str
    role: str
    workspace_id: str
    secret: str | None = None
    recovery_codes: tuple[str, ...] = ()
    spent: set[int] = field(default_factory=set)

    def code(self) -> str:
        """A code that this person did not use yet, after waiting for one if need be."""
        assert self.secret is not None
        while True:
            now = int(datetime.now(UTC).timestamp()) // STEP
            newer = [s for s in (now, now + 1) if s > max(self.spent, default=0)]
            if newer:
                self.spent.add(newer[0])
                return oath_code(self.secret, datetime.fromtimestamp(newer[0] * STEP, UTC))
            time.sleep(0.3)

    def wrong_code(self) -> str:
        """Six digits that are none of this person's codes around now."""
        assert self.secret is not None
        now = datetime.now(UTC)
        near = {oath_code(self.secret, now + timedelta(seconds=STEP * n)) for n in range(-3, 4)}
        return next(code for code in ("000000", "000001", "000002", "000003") if code not in near)


def a_workspace(site: Site, *, enforced: bool = False, name: str = "Workspace") -> str:
    """A workspace of this test's own."""
    workspace_id = f"w-{secrets.token_hex(4)}"
    at = datetime.now(UTC) - BEFORE
    site.do(PutWorkspace(workspace_id=workspace_id, name=name), at=at)
    if enforced:
        site.do(SetPolicy(workspace_id=workspace_id, mode="enforced"), at=at)
    return workspace_id


def a_person(
    site: Site,
    workspace_id: str | None = None,
    *,
    role: str = "member",
    bound: bool = True,
    locale: str | None = None,
) -> Person:
    """A member who joined a while ago; staff roles belong to the workspace `staff`."""
    number = secrets.token_hex(4)
    person = Person(
        id=f"{role}-{number}",
        name=f"{role.title()} {number}",
        email=f"{role}-{number}@example.com",
        role=role,
        workspace_id=workspace_id or str(site.seeded["workspace_id"]),
    )
    command = PutMember(
        workspace_id=person.workspace_id,
        member_id=person.id,
        email=person.email,
        name=person.name,
        role=role,
        locale=locale,
    )
    site.do(command, at=datetime.now(UTC) - BEFORE)
    if bound:
        _bind(site, person)
    return person


def _bind(site: Site, person: Person) -> None:
    at = datetime.now(UTC) - BEFORE
    site.do(SendBindCode(member_id=person.id), at=at)
    challenge = site.twinlock.store.load(MemberMFA, person.id).challenge(BIND)
    assert challenge is not None
    mailed = email_code(
        site.twinlock.keys.derived("email-codes"),
        purpose=BIND,
        member_id=person.id,
        challenge_id=challenge.id,
    )
    opened = site.do(StartEnrolment(member_id=person.id, email_code=mailed), at=at)
    person.secret = opened.secret
    code = oath_code(opened.secret, at)
    command = BindMFA(member_id=person.id, workspace_id=person.workspace_id, code=code)
    person.recovery_codes = site.do(command, at=at).recovery_codes


def a_crowd(site: Site, workspace_id: str, *, bound: int, free: int) -> list[str]:
    """Many members at once; answers the names of those who have no authenticator."""
    at = datetime.now(UTC) - BEFORE
    position = 0
    for number in range(bound):
        member = MemberMFA(f"bound-{workspace_id}-{number:03}")
        added = MemberAdded(workspace_id=workspace_id, member_id=member.id, role="member")
        mfa = MFABound(binding_id="b", step=1, workspace_id=workspace_id, login_id=None)
        context = Context(at=at, actor=HOST, request_id="crowd", workspace_id=workspace_id)
        position = site.twinlock.store.append(context, (member, (Registered(), added, mfa)))
    site.settle(position)
    return [a_person(site, workspace_id, bound=False).name for _ in range(free)]
