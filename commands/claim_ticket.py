"""Take a ticket from the queue."""

from dataclasses import dataclass

from commands.agents import deserted
from commands.grants import Done
from commands.open_tickets import ticket_at_hand
from commands.ports import Context, Desk
from domain import unbind_ticket


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimTicket:
    """By an agent."""

    ticket_id: str
    agent_id: str


def handle(command: ClaimTicket, context: Context, desk: Desk) -> Done:
    """Raises Forbidden for the requester in person, IllegalTransition unless it waits."""
    ticket = ticket_at_hand(desk, command.ticket_id)
    facts = unbind_ticket.claim(ticket, command.agent_id, deserted=deserted(desk, ticket))
    return Done(position=desk.store.append(context, (ticket, facts)))
