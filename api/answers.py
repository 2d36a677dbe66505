"""What answers hold; absent values are null."""

from typing import Any, Literal

from pydantic import Field, RootModel

from api.fields import Shape, Time

LoginState = Literal["granted", "code_required", "enrolment_required", "locked"]


class Workspace(Shape):
    """A workspace's profile."""

    workspace_id: str
    name: str
    return_urls: list[str]


class Member(Shape):
    """A member's profile in a workspace."""

    workspace_id: str
    member_id: str
    email: str
    name: str
    role: str
    locale: str


class Actor(Shape):
    """Who did it."""

    kind: str
    id: str | None


class AsOf(Shape):
    """What an answer rests on."""

    time: Time
    position: int


class Policy(Shape):
    """A workspace's policy."""

    mode: Literal["off", "enforced"]
    grace_until: Time | None
    changed_at: Time | None
    changed_by: Actor | None


class PreviewItem(Shape):
    """A member whom enforcement would stop."""

    member_id: str
    name: str | None
    bound: bool


class Preview(Shape):
    """How many members enforcement would stop, and a page of them."""

    members: int
    stopped: int
    items: list[PreviewItem]
    next_cursor: str | None


class CoverageItem(Shape):
    """Where a member stands."""

    member_id: str
    role: str
    status: Literal["not_bound", "enrolling", "bound"]
    enrolment_due_at: Time | None
    locked_until: Time | None


class Coverage(Shape):
    """How many members are in each state, and a page of them."""

    members: int
    bound: int
    in_grace: int
    overdue: int
    locked: int
    as_of: AsOf
    items: list[CoverageItem]
    next_cursor: str | None


class Login(Shape):
    """A login's state now."""

    login_id: str
    state: LoginState
    expires_at: Time | None
    enrolment_due_at: Time | None
    locked_until: Time | None


class OpenedLogin(Login):
    """A new login; pending ones carry a token, granted ones a pass."""

    login_token: str | None
    page: str
    pass_: str | None = Field(serialization_alias="pass")
    expires_in: int | None


class GrantedLogin(Shape):
    """The pass of a login that was granted."""

    state: Literal["granted"] = "granted"
    pass_: str | None = Field(serialization_alias="pass")
    expires_in: int | None


class ExchangedLogin(Shape):
    """The pass of a login on the hosted page."""

    login_id: str
    member_id: str
    workspace_id: str
    pass_: str | None = Field(serialization_alias="pass")
    expires_in: int | None


class LoginCheck(Shape):
    """What is due of a member before a workspace opens."""

    decision: LoginState
    reason: Literal["bound", "policy_enforced", "policy_off", "in_grace", "locked"]
    mfa_required: bool
    bound: bool
    epoch: int
    enrolment_due_at: Time | None
    locked_until: Time | None
    position: int


class Mfa(Shape):
    """A member's second factor."""

    status: Literal["not_bound", "enrolling", "bound"]
    bound_at: Time | None
    last_used_at: Time | None
    locked_until: Time | None
    recovery_codes_left: int
    open_ticket_id: str | None


class MailedCode(Shape):
    """Where a code went, until when it holds, and when another may be asked for."""

    sent_to: str | None
    expires_at: Time
    resend_at: Time


class Enrolment(Shape):
    """A secret to scan or to type, shown once; `qr_png` is base64."""

    enrolment_id: str
    secret: str
    otpauth_uri: str
    qr_svg: str
    qr_png: str
    expires_at: Time


class Bound(Shape):
    """The authenticator is bound; the recovery codes are shown once."""

    status: Literal["bound"] = "bound"
    recovery_codes: list[str]
    pass_: str | None = Field(serialization_alias="pass")
    expires_in: int | None


class Unbound(Shape):
    """The authenticator is off; a pass only where no second factor is due."""

    status: Literal["not_bound"] = "not_bound"
    pass_: str | None = Field(serialization_alias="pass")
    expires_in: int | None


class RecoveryCodes(Shape):
    """New recovery codes, shown once."""

    recovery_codes: list[str]


class Epoch(Shape):
    """Passes of an older epoch no longer hold."""

    epoch: int


class Challenge(Shape):
    """A mailed code was asked for; the same for everybody."""

    challenge_id: str
    expires_at: Time


class FiledTicket(Shape):
    """A new ticket, and the token by which its requester follows it."""

    ticket_id: str
    status: Literal["submitted"] = "submitted"
    ticket_token: str


class Ticket(Shape):
    """A request to unbind; requesters see no assignee."""

    ticket_id: str
    type: Literal["unbind_mfa"] = "unbind_mfa"
    status: Literal["submitted", "in_review", "approved", "rejected", "cancelled"]
    title: str | None
    description: str | None
    member_id: str
    first_factor_proven: bool
    assignee: str | None
    approvals: int
    approvals_needed: int
    submitted_at: Time | None
    decided_at: Time | None
    reason: str | None


class Tickets(Shape):
    """A page of tickets, oldest first."""

    items: list[Ticket]
    next_cursor: str | None


class Agents(Shape):
    """Member ids of agents."""

    items: list[str]
    next_cursor: str | None


class AuditItem(Shape):
    """What happened."""

    position: int
    time: Time
    type: str
    actor: Actor
    subject: str
    workspace_id: str | None
    request_id: str
    result: str
    data: dict[str, Any]


class Audit(Shape):
    """A page of the audit trail, in the order of positions."""

    items: list[AuditItem]
    next_cursor: str | None


class Events(Shape):
    """CloudEvents in the order of positions; go on with `after=next_after` until that stays.

    A page may be empty before: what `types` or the token's scope leave out counts as looked at.
    """

    events: list[dict[str, Any]]
    next_after: int


class Schema(RootModel[dict[str, Any]]):
    """A JSON Schema (draft 2020-12)."""


class Keys(Shape):
    """A JSON web key set (RFC 7517)."""

    keys: list[dict[str, Any]]


class Health(Shape):
    """Whether it works, part by part."""

    status: Literal["ok", "unavailable"]
    parts: dict[str, Literal["ok", "unavailable"]] | None = None


class Problem(Shape):
    """Why not (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    attempts_left: int | None
    locked_until: Time | None
