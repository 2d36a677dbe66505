"""Approve a ticket; the last approval needed takes the authenticator off in the same append."""

from dataclasses import dataclass

from commands.agents import privileged
from commands.grants import Done
from commands.open_tickets import ticket_at_hand
from commands.ports import Change, Context, Desk, Write
from commands.secrets import forget
from commands.ticket_text import seal_reason
from domain import unbind_ticket
from domain.member_mfa import MemberMFA
from domain.refusals import IllegalTransition
from domain.unbind_ticket import OPEN, TicketApproved


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ApproveTicket:
    """By the assignee first, by any other agent second."""

    ticket_id: str
    agent_id: str
    reason: str


def handle(command: ApproveTicket, context: Context, desk: Desk) -> Done:
    """Raises Forbidden, IllegalTransition, or NotBound where the binding is gone."""
    ticket = ticket_at_hand(desk, command.ticket_id)
    member = desk.store.load(MemberMFA, ticket.member_id)
    if ticket.status in OPEN and member.open_ticket != ticket.id:
        raise IllegalTransition("The ticket was closed since it was loaded.")
    facts = unbind_ticket.approve(
        ticket, command.agent_id, member, privileged=privileged(desk, member)
    )
    changes: list[Change] = [(ticket, facts)]
    also: list[Write] = [seal_reason(desk.vault, member.id, ticket.id, command.reason)]
    if any(isinstance(fact, TicketApproved) for fact in facts):
        changes.append((member, unbind_ticket.unbind(ticket, member)))
        also.extend(forget(desk, member))
    return Done(position=desk.store.append(context, *changes, also=also))
