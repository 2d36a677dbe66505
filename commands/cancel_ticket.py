"""Withdraw a ticket, by its token, the mailed link or the member's pass."""

from dataclasses import dataclass

from commands.grants import Done
from commands.mailed import link_token
from commands.open_tickets import ticket_at_hand
from commands.ports import Context, Desk
from domain import unbind_ticket
from domain.member_mfa import MemberMFA
from domain.onetime import same
from domain.refusals import Unauthenticated


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CancelTicket:
    """`link_token` comes from the mailed link; None where the caller is known otherwise."""

    ticket_id: str
    link_token: str | None = None


def handle(command: CancelTicket, context: Context, desk: Desk) -> Done:
    """Raises Unauthenticated for a wrong link, IllegalTransition once the ticket is closed."""
    if command.link_token is not None:
        require_link(desk, command.ticket_id, command.link_token)
    ticket = ticket_at_hand(desk, command.ticket_id)
    facts = unbind_ticket.cancel(ticket)
    member = desk.store.load(MemberMFA, ticket.member_id)
    closed = unbind_ticket.close_ticket(member, unbind_ticket.CANCELLED)
    return Done(position=desk.store.append(context, (ticket, facts), (member, closed)))


def require_link(desk: Desk, ticket_id: str, token: str) -> None:
    """Raises Unauthenticated unless `token` is that of the ticket's mailed link."""
    if not same(link_token(desk.keys, ticket_id), token):
        raise Unauthenticated("The link does not hold.")
