"""Mail the code that opens an enrolment."""

from dataclasses import dataclass
from datetime import datetime

from commands.contact import contact_of
from commands.grants import Done
from commands.live_login import require_session
from commands.ports import Context, Desk
from domain.enrolment import resend_at, send_email_code
from domain.member_mfa import MemberMFA
from domain.onetime import BIND
from domain.refusals import Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class SendBindCode:
    """To the member's registered address."""

    member_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BindCodeSent(Done):
    """Where it goes (masked), until when it holds, and when another may be asked for."""

    sent_to: str
    expires_at: datetime
    resend_at: datetime


def handle(command: SendBindCode, context: Context, desk: Desk) -> BindCodeSent:
    """Raises AlreadyBound, or TooMany beyond the mailbox's budget."""
    member = desk.store.load(MemberMFA, command.member_id)
    require_session(member, context)
    sent = send_email_code(member, purpose=BIND, challenge_id=desk.chance.id(), at=context.at)
    contact = contact_of(desk.vault, member.id)
    if contact is None:
        raise Unavailable("The member's address cannot be read.")
    position = desk.store.append(context, (member, (sent,)))
    return BindCodeSent(
        position=position,
        sent_to=contact.masked,
        expires_at=sent.expires_at,
        resend_at=resend_at(member, BIND, context.at),
    )
