"""File a ticket to unbind without the device, with the code that was mailed."""

from dataclasses import dataclass, replace
from datetime import datetime

from commands.agents import privileged
from commands.contact import contact_of, same_address
from commands.dispatch import record
from commands.grants import Done
from commands.live_login import LiveLogin, require_session
from commands.mailed import code_key, link_token
from commands.ports import Change, Context, Credential, Desk, Write
from commands.ticket_text import TicketText, seal_text
from domain import unbind_ticket
from domain.decision import Decision
from domain.enrolment import check_email_code, refused_email_code
from domain.member_facts import TicketOpened
from domain.member_mfa import MemberMFA
from domain.onetime import ANONYMOUS, TICKET
from domain.refusals import Refusal
from domain.unbind_ticket import TicketSubmitted, UnbindTicket

NOBODY = "?"
"""No member has this id; its empty stream is read for strangers, who cost as much."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SubmitTicket:
    """`login` proves the first factor; without it the mailed code is the only proof."""

    text: TicketText
    challenge_id: str
    email_code: str
    email: str | None = None
    login: LiveLogin | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TicketFiled(Done):
    """The ticket, and the token by which its requester follows it."""

    ticket_id: str
    ticket_token: str
    submitted_at: datetime


def handle(command: SubmitTicket, context: Context, desk: Desk) -> TicketFiled:
    """Raises CodeRejected, and to a proven requester NotBound or TicketOpen."""
    purpose = TICKET if command.login else ANONYMOUS
    member = _requester(command, desk)
    if member is None:
        return _unknown(purpose, context, desk)
    if command.login:  # its holder is known, so conflicts come before the code
        require_session(member, context)
        _file(member, command, context, desk)
    if not _knows(member, command.challenge_id):
        return _unknown(purpose, context, desk)
    decision = check_email_code(
        member,
        command.email_code,
        key=code_key(desk.keys),
        purpose=purpose,
        at=context.at,
        challenge_id=command.challenge_id,
    )
    ticket_id, token = desk.chance.id(), desk.chance.token()
    changes: tuple[Change, ...] = ()
    also: tuple[Write, ...] = ()
    if decision.granted:  # only then, so that a wrong code costs members no more than strangers
        try:
            filed = _file(member, command, context, desk)
        except Refusal as refusal:  # with the spent code on record all the same
            decision = Decision(decision.facts, refusal)
        else:
            decision = decision.then(TicketOpened(ticket_id=ticket_id))
            changes = ((UnbindTicket(ticket_id), (filed,)),)
            also = _kept(desk, command, filed, ticket_id, token)
    at_work = replace(context, workspace_id=command.login.workspace.id if command.login else None)
    position = record(desk, at_work, decision, (member, decision.facts), *changes, also=also)
    return TicketFiled(
        position=position,
        ticket_id=ticket_id,
        ticket_token=token,
        submitted_at=member.clock(context.at),
    )


def _file(
    member: MemberMFA, command: SubmitTicket, context: Context, desk: Desk
) -> TicketSubmitted:
    login = command.login
    needed = unbind_ticket.approvals_needed(
        first_factor_proven=login is not None,
        privileged=privileged(desk, member),
        first_factor_changed_at=login.first_factor_changed_at if login else None,
        usual=desk.rules.ticket_approvals,
        at=context.at,
    )
    return unbind_ticket.submit(member, first_factor_proven=login is not None, needed=needed)


def _requester(command: SubmitTicket, desk: Desk) -> MemberMFA | None:
    """The member who files, or an empty one; None for somebody else's address."""
    if command.login is None:
        member_id = desk.vault.member_at(command.email or "")
        return desk.store.load(MemberMFA, member_id or NOBODY)
    if command.email:
        contact = contact_of(desk.vault, command.login.member.id)
        if contact is None or not same_address(contact.email, command.email):
            return None
    return desk.store.load(MemberMFA, command.login.member.id)


def _knows(member: MemberMFA, challenge_id: str) -> bool:
    return any(challenge.id == challenge_id for challenge in member.challenges)


def _unknown(purpose: str, context: Context, desk: Desk) -> TicketFiled:
    """Refuse after a durable write, as a wrong code costs one too."""
    refusal = refused_email_code(purpose, attempts_left=0)
    told = replace(context, refusal=refusal)
    refusal.position = desk.store.append(told, also=(desk.credentials.decoy(),))
    raise refusal


def _kept(
    desk: Desk, command: SubmitTicket, filed: TicketSubmitted, ticket_id: str, token: str
) -> tuple[Write, ...]:
    """The ticket's words, and the tokens that follow it and that cancel it."""
    tokens = {"ticket": token, "cancel": link_token(desk.keys, ticket_id)}
    claims = {"member_id": filed.member_id}
    return (
        seal_text(desk.vault, filed.member_id, ticket_id, command.text),
        *(
            desk.credentials.issue(Credential(kind=kind, subject=ticket_id, claims=claims), each)
            for kind, each in tokens.items()
        ),
    )
