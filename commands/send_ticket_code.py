"""Mail the code that files an unbinding ticket; strangers get the very same answer."""

from dataclasses import dataclass
from datetime import datetime

from commands.contact import contact_of, same_address
from commands.grants import Done
from commands.live_login import require_session
from commands.ports import Context, Desk
from domain.enrolment import send_email_code
from domain.member_facts import EmailCodeSent
from domain.member_mfa import PENDING, MemberMFA
from domain.onetime import ANONYMOUS, TICKET
from domain.refusals import TooMany


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SendTicketCode:
    """`member_id` is known from a login token; without one only the address is."""

    email: str | None = None
    member_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketCodeSent(Done):
    """Says nothing of whether a mail goes out."""

    challenge_id: str
    expires_at: datetime


def handle(command: SendTicketCode, context: Context, desk: Desk) -> TicketCodeSent:
    """Beyond the budget, and for strangers, no mail goes out, and the answer is the same.

    Raises Unauthenticated where the login ended meanwhile.
    """
    challenge_id = desk.chance.id()
    addressee = _addressee(command, desk)
    member = desk.store.load(MemberMFA, addressee or challenge_id)
    if addressee and command.member_id:
        require_session(member, context)
    sent = _within_budget(member, challenge_id, command, context)
    if addressee and sent:
        position = desk.store.append(context, (member, (sent,)))
    else:
        position = desk.store.append(context, also=(desk.credentials.decoy(),))
    return TicketCodeSent(
        position=position, challenge_id=challenge_id, expires_at=context.at + PENDING
    )


def _within_budget(
    member: MemberMFA, challenge_id: str, command: SendTicketCode, context: Context
) -> EmailCodeSent | None:
    purpose = TICKET if command.member_id else ANONYMOUS
    try:
        return send_email_code(member, purpose=purpose, challenge_id=challenge_id, at=context.at)
    except TooMany:
        return None


def _addressee(command: SendTicketCode, desk: Desk) -> str | None:
    """The member to write to; None for a stranger or another member's address."""
    if command.member_id is None:
        return desk.vault.member_at(command.email or "")
    contact = contact_of(desk.vault, command.member_id)
    if contact is None or (command.email and not same_address(contact.email, command.email)):
        return None
    return command.member_id
