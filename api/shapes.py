"""What requests may hold: paths, queries and bodies."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from api.fields import (
    BindCode,
    Code,
    Cursor,
    Email,
    GivenTime,
    HostState,
    Id,
    Limit,
    Name,
    OneTimeToken,
    Place,
    Position,
    RecoveryCode,
    Strict,
    Text,
    TicketCode,
    Title,
    Url,
    WireName,
    WireNames,
)
from commands.secrets import Proof


class WorkspacePath(Strict):
    """A workspace."""

    workspace_id: Id


class MembershipPath(Strict):
    """A member of a workspace."""

    workspace_id: Id
    member_id: Id


class MemberPath(Strict):
    """A member."""

    member_id: Id


class LoginPath(Strict):
    """A login."""

    login_id: Id


class TicketPath(Strict):
    """A ticket."""

    ticket_id: Id


class SchemaPath(Strict):
    """A type of event, with its version."""

    type: Annotated[str, Field(max_length=100)]


class Query(Strict):
    """Every query may wait for a position."""

    at_least: Position = Field(default=0, description="Answer once this position is visible.")


class PageQuery(Query):
    """A page of a list."""

    cursor: Cursor | None = None
    limit: Limit = 50


class AsOfQuery(Query):
    """Now, or as of a time or a position."""

    as_of: Place | None = Field(default=None, description="A time, or a position.")


class AsOfPageQuery(PageQuery):
    """The same of a list."""

    as_of: Place | None = Field(default=None, description="A time, or a position.")


class QueueQuery(PageQuery):
    """Which tickets."""

    status: Literal["submitted", "in_review", "approved", "rejected", "cancelled"] | None = None
    assignee: Literal["me"] | None = None


class LoginCheckQuery(Query):
    """Whose login, and where."""

    workspace_id: Id
    member_id: Id


class AccessQuery(Strict):
    """Which workspace the pass is to open."""

    workspace_id: Id


class AuditQuery(PageQuery):
    """What to look for; `since` and `until` are inclusive."""

    workspace_id: Id | None = None
    member_id: Id | None = None
    ticket_id: Id | None = None
    actor: Id | None = None
    type: WireName | None = None
    since: GivenTime | None = None
    until: GivenTime | None = None


class EventsQuery(Query):
    """Events behind a position, of these types only."""

    after: Position = 0
    types: WireNames | None = Field(default=None, description="Wire names, apart by commas.")
    limit: Limit = 50


class WorkspaceBody(Strict):
    """A workspace's profile; without `return_urls` those registered stay."""

    name: Name
    return_urls: list[Url] | None = Field(default=None, max_length=50)


class MemberBody(Strict):
    """A member's profile; without `locale` the language stays."""

    email: Email
    name: Name
    role: Literal["member", "owner", "support", "auditor", "analyst"]
    locale: Literal["en", "zh"] | None = None


class PolicyBody(Strict):
    """The policy to set; an owner gives a code."""

    mode: Literal["off", "enforced"]
    grace_until: GivenTime | None = None
    code: Code | None = None


class LoginBody(Strict):
    """Whose password was right, and where the member goes afterwards."""

    workspace_id: Id
    member_id: Id
    return_url: Url | None = None
    state: HostState | None = None
    first_factor_changed_at: GivenTime | None = None


class ExchangeBody(Strict):
    """The one-time code that came to the return address."""

    code: OneTimeToken


NULL: JsonDict = {"type": "null"}
TEXT: JsonDict = {"type": "string"}
ONLY_CODE: JsonDict = {
    "required": ["code"],
    "properties": {"code": TEXT, "recovery_code": NULL},
}
ONLY_RECOVERY_CODE: JsonDict = {
    "required": ["recovery_code"],
    "properties": {"code": NULL, "recovery_code": TEXT},
}


class ProofBody(Strict):
    """Either a code or a recovery code."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [ONLY_CODE, ONLY_RECOVERY_CODE]})

    code: Code | None = None
    recovery_code: RecoveryCode | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.code is None) == (self.recovery_code is None):
            raise ValueError("holds either code or recovery_code")
        return self

    @property
    def proof(self) -> Proof:
        """As commands take it."""
        return Proof(code=self.code, recovery_code=self.recovery_code)


class CodeBody(Strict):
    """A code."""

    code: Code


class BindEmailCodeBody(Strict):
    """What the mailed code is for."""

    purpose: Literal["bind"]


class EnrolmentBody(Strict):
    """The mailed code."""

    email_code: BindCode


class BindingBody(Strict):
    """The first code, and, where known, the enrolment that it is of."""

    code: Code
    enrolment_id: Id | None = None


class TicketCodeBody(Strict):
    """Where the member is written to; not needed with a login token."""

    email: Email | None = None


class TicketBody(Strict):
    """A request to unbind, with the mailed code."""

    type: Literal["unbind_mfa"]
    title: Title
    description: Text
    email: Email | None = None
    challenge_id: Id
    email_code: TicketCode


class ForwardBody(Strict):
    """The agent who takes over; null is the queue."""

    to: Id | None


class ReasonBody(Strict):
    """Why; the requester is told."""

    reason: Text
