"""What can happen to a member's account: the facts of its stream."""

from datetime import datetime

from domain.facts import Fact, fact


@fact("mfa.registered")
class Registered(Fact):
    """The host made the member's account known."""


@fact("mfa.email_code_sent")
class EmailCodeSent(Fact):
    """A code was made for the member's mailbox; the mailer derives and sends it."""

    challenge_id: str
    purpose: str
    expires_at: datetime


@fact("mfa.email_code_confirmed")
class EmailCodeConfirmed(Fact):
    """The member proved control of the mailbox."""

    challenge_id: str
    purpose: str


@fact("mfa.email_code_rejected")
class EmailCodeRejected(Fact):
    """A mailed code was wrong, used or expired."""

    challenge_id: str | None
    purpose: str


@fact("mfa.enrolment_started")
class EnrolmentStarted(Fact):
    """A secret was made for the member to scan; an older pending one is void."""

    enrolment_id: str
    expires_at: datetime


@fact("mfa.bound")
class MFABound(Fact):
    """The member proved possession of the authenticator."""

    binding_id: str
    step: int
    workspace_id: str | None
    login_id: str | None


@fact("mfa.code_accepted")
class CodeAccepted(Fact):
    """A right code was spent."""

    purpose: str
    binding_id: str
    step: int
    login_id: str | None


@fact("mfa.code_rejected")
class CodeRejected(Fact):
    """A code or recovery code was refused; `reason` is wrong, used or recovery_code."""

    purpose: str
    reason: str
    login_id: str | None


@fact("mfa.locked")
class Locked(Fact):
    """Too many failures: no code is looked at until then."""

    until: datetime
    failures: int


@fact("mfa.unbound")
class MFAUnbound(Fact):
    """The authenticator was taken off; `method` is self, recovery_code or ticket."""

    binding_id: str
    method: str
    ticket_id: str | None


@fact("mfa.recovery_codes_issued")
class RecoveryCodesIssued(Fact):
    """A new set of recovery codes was shown; older sets are void."""

    set_id: str
    count: int


@fact("mfa.recovery_code_spent")
class RecoveryCodeSpent(Fact):
    """A recovery code was used in place of a code."""

    set_id: str
    index: int
    purpose: str
    login_id: str | None


@fact("mfa.login_granted")
class LoginGranted(Fact):
    """A login was granted without a code, because none was due."""

    login_id: str
    amr: tuple[str, ...]
    reason: str


@fact("mfa.sessions_revoked")
class SessionsRevoked(Fact):
    """Every pass and pending login of the member ended."""


@fact("mfa.contact_changed")
class ContactChanged(Fact):
    """The member's address changed; codes sent to the old one and a pending enrolment are void."""


@fact("mfa.ticket_opened")
class TicketOpened(Fact):
    """The member asked for unbinding without the device."""

    ticket_id: str


@fact("mfa.ticket_closed")
class TicketClosed(Fact):
    """The member's open ticket was decided or cancelled."""

    ticket_id: str
    status: str


@fact("mfa.erased")
class Erased(Fact):
    """The account ended and its personal data was destroyed; the id is never used again."""


@fact("workspace.member_added")
class MemberAdded(Fact):
    """The member joined a workspace."""

    workspace_id: str
    member_id: str
    role: str


@fact("workspace.member_role_changed")
class MemberRoleChanged(Fact):
    """The member's role in a workspace changed."""

    workspace_id: str
    member_id: str
    role: str


@fact("workspace.member_removed")
class MemberRemoved(Fact):
    """The member left a workspace; the binding stays."""

    workspace_id: str
    member_id: str
