"""Decline a ticket, with a reason that the requester is told."""

from dataclasses import dataclass

from commands.grants import Done
from commands.open_tickets import ticket_at_hand
from commands.ports import Context, Desk
from commands.ticket_text import seal_reason
from domain import unbind_ticket
from domain.member_mfa import MemberMFA


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RejectTicket:
    """By the assignee."""

    ticket_id: str
    agent_id: str
    reason: str


def handle(command: RejectTicket, context: Context, desk: Desk) -> Done:
    """Raises Forbidden unless the assignee asks, IllegalTransition unless in review."""
    ticket = ticket_at_hand(desk, command.ticket_id)
    facts = unbind_ticket.reject(ticket, command.agent_id)
    member = desk.store.load(MemberMFA, ticket.member_id)
    closed = unbind_ticket.close_ticket(member, unbind_ticket.REJECTED)
    also = (seal_reason(desk.vault, member.id, ticket.id, command.reason),)
    return Done(position=desk.store.append(context, (ticket, facts), (member, closed), also=also))
