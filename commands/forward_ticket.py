"""Pass a ticket to another agent, or back to the queue."""

from dataclasses import dataclass

from commands.agents import works
from commands.grants import Done
from commands.open_tickets import ticket_at_hand
from commands.ports import Context, Desk
from domain import unbind_ticket


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardTicket:
    """`to` is an agent's member id; None means the queue."""

    ticket_id: str
    agent_id: str
    to: str | None


def handle(command: ForwardTicket, context: Context, desk: Desk) -> Done:
    """Raises Forbidden unless the assignee asks, Malformed for an unknown agent."""
    ticket = ticket_at_hand(desk, command.ticket_id)
    known = command.to is None or works(desk, command.to, ticket)
    facts = unbind_ticket.forward(ticket, command.agent_id, command.to, known=known)
    return Done(position=desk.store.append(context, (ticket, facts)))
