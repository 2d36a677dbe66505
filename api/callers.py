"""Who calls: the bearer of an API token, a login token, a pass or a ticket token, or nobody."""

import re
from dataclasses import dataclass
from datetime import datetime

from commands.check_pass import CheckPass, PassChecked
from commands.check_pass import handle as check_pass
from commands.live_login import LiveLogin, live_login
from commands.ports import Context, Credential, Desk
from domain.facts import Actor
from domain.member_mfa import MemberMFA
from domain.refusals import Unauthenticated

BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/=-]{1,4096})", re.ASCII | re.IGNORECASE)
ANYBODY = Actor("anonymous")
STAFF = ("support", "auditor", "analyst")
ALL_OVER = ("host", "owner", *STAFF)
"""Roles that see what belongs to others, within their scope."""
KINDS = ("api", "login", "ticket", "cancel")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A caller's power.

    `role` is host, owner, support, auditor, analyst, member, or nobody; requester or canceller
    with a ticket's token or its mailed link; former owner with a token that outlived the role.
    `scope` is the workspace that an API token or an owner is confined to; None means all.
    `member_id` is the person: of a login, pass or ticket token in person, or whom an API token
    names. `opens` is whether the pass opens its workspace now.
    """

    role: str
    scope: str | None = None
    member_id: str | None = None
    token_id: str | None = None
    opens: bool = True
    login: LiveLogin | None = None
    credential: Credential | None = None
    holder: PassChecked | None = None
    ticket_id: str | None = None

    @property
    def in_person(self) -> bool:
        """Whether it is a member with a login token or a pass."""
        return self.member is not None

    @property
    def member(self) -> MemberMFA | None:
        """The member in person, as the stream was when it was let in."""
        known = self.login or self.holder
        return known.member if known else None

    @property
    def workspace_id(self) -> str | None:
        """Where a member in person is."""
        if self.login is not None:
            return self.login.workspace.id
        return self.holder.workspace.id if self.holder is not None else self.scope

    @property
    def revocations(self) -> int | None:
        """How often a member in person had been signed out when it was let in."""
        return self.member.revocations if self.member else None

    def is_member(self, member_id: str) -> bool:
        """Whether it is that very member, in person."""
        return self.in_person and self.member_id == member_id

    def sees_workspace(self, workspace_id: str) -> bool:
        """Whether the workspace is any of the caller's business."""
        if self.role in ("host", *STAFF):
            return self.scope in (None, workspace_id) or self.workspace_id == workspace_id
        return self.workspace_id == workspace_id

    def sees_member(self, member: MemberMFA) -> bool:
        """Whether the member is any of the caller's business."""
        if not member.registered or (member.erased and self.role != "auditor"):
            return False  # an auditor asks what was, also of an account that is no more
        if self.is_member(member.id):
            return True
        if self.role not in ALL_OVER:
            return False
        return self.scope is None or self.scope in member.roles

    @property
    def actor(self) -> Actor:
        """Who did it, for the record."""
        match self.role:
            case "host" | "auditor" | "analyst":
                kind = "auditor" if self.role == "analyst" else self.role
                return Actor(kind, self.token_id or self.member_id)
            case "support":
                return Actor("support", self.member_id)
            case "nobody":
                return ANYBODY
        return Actor("member", self.member_id)

    @property
    def person(self) -> Actor:
        """The same, where a member acts in person, whatever else it may do."""
        return Actor("member", self.member_id)


NOBODY = Caller(role="nobody")


def bearer_of(header: str | None) -> str | None:
    """The token of an Authorization header (RFC 6750); None where there is no header."""
    if header is None:
        return None
    found = BEARER.fullmatch(header.strip())
    if found is None:
        raise unauthenticated()
    return found[1]


def genuine(desk: Desk, token: str, at: datetime, first: str) -> Credential | None:
    """What is kept about the token, None for a pass; raises Unauthenticated for anything else.

    `first` is the kind to expect: it is looked up before the others.
    """
    if "." in token:
        if desk.passes.read(token, at) is None:
            raise unauthenticated()
        return None
    for kind in (first, *(kind for kind in KINDS if kind != first)):
        if found := desk.credentials.find(kind, token):
            return found
    raise unauthenticated()


def caller_of(desk: Desk, context: Context, token: str, credential: Credential | None) -> Caller:
    """The bearer of a genuine token, as the streams see it now; raises Unauthenticated."""
    if credential is None:
        return of_pass(desk, check_pass(CheckPass(token=token), context, desk))
    match credential.kind:
        case "api":
            return of_api_token(desk, credential)
        case "login":
            login = live_login(desk, context, credential)
            return Caller(
                role="member", member_id=login.member.id, login=login, credential=credential
            )
    return Caller(
        role="requester" if credential.kind == "ticket" else "canceller",
        member_id=credential.claims["member_id"],
        ticket_id=credential.subject,
    )


def of_pass(desk: Desk, holder: PassChecked) -> Caller:
    """A member, or an owner or staff where the stream says so and the workspace opens."""
    role = holder.role
    scope: str | None = holder.workspace.id
    if role in STAFF:
        at_work = holder.workspace.id == desk.rules.staff_workspace and holder.opens
        role, scope = (role, None) if at_work else ("member", scope)
    return Caller(
        role=role, scope=scope, member_id=holder.member.id, opens=holder.opens, holder=holder
    )


def of_api_token(desk: Desk, token: Credential) -> Caller:
    """Whom a live token stands for, as the streams see it; raises Unauthenticated."""
    role, scope = token.claims["role"], token.claims["workspace_id"]
    member_id = token.claims["member_id"]
    if role in ("owner", "support"):
        member = desk.store.load(MemberMFA, member_id)
        if member.erased:  # while the token was made
            raise unauthenticated()
        if role == "owner" and member.roles.get(scope) != "owner":
            role = "former owner"
    return Caller(role=role, scope=scope, member_id=member_id, token_id=token.subject)


def unauthenticated() -> Unauthenticated:
    """The refusal of a call without a credential that holds."""
    return Unauthenticated("Send a credential that holds.")
