"""Open tickets: the one an agent works on, and a member's that is settled another way."""

from commands.ports import Change, Desk, Store
from domain import unbind_ticket
from domain.member_mfa import MemberMFA
from domain.refusals import NotFound
from domain.unbind_ticket import UnbindTicket


def ticket_at_hand(desk: Desk, ticket_id: str) -> UnbindTicket:
    """An existing ticket; raises NotFound where there is none."""
    ticket = desk.store.load(UnbindTicket, ticket_id)
    if not ticket.status:
        raise NotFound("No such ticket.")
    return ticket


def settled(store: Store, member: MemberMFA, cause: str) -> tuple[Change, ...]:
    """The open ticket's cancellation, for the same append; nothing where none is open.

    Where it was closed after `member` was loaded, `member` is behind, and the append is stale.
    """
    if member.open_ticket is None:
        return ()
    ticket = store.load(UnbindTicket, member.open_ticket)
    if ticket.status not in unbind_ticket.OPEN:
        return ()
    return ((ticket, unbind_ticket.cancel(ticket, cause)),)
