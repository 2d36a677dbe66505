"""What people wrote on a ticket: kept in the vault under the member, never in an event."""

import json
from dataclasses import asdict, dataclass

from commands.ports import Vault, Write
from domain.refusals import Unreadable


@dataclass(frozen=True, slots=True, repr=False)
class TicketText:
    """As the requester wrote it."""

    title: str
    description: str


def seal_text(vault: Vault, member_id: str, ticket_id: str, text: TicketText) -> Write:
    """Keep the text with the member."""
    return vault.seal(
        f"member/{member_id}", f"ticket/{ticket_id}", json.dumps(asdict(text)).encode()
    )


def text_of(vault: Vault, member_id: str, ticket_id: str) -> TicketText | None:
    """The text; None once the member is erased, or where it cannot be read."""
    sealed = _peek(vault, member_id, f"ticket/{ticket_id}")
    return TicketText(**json.loads(sealed)) if sealed else None


def seal_reason(vault: Vault, member_id: str, ticket_id: str, reason: str) -> Write:
    """Keep the agent's reason with the member."""
    return vault.seal(f"member/{member_id}", f"ticket/{ticket_id}/reason", reason.encode())


def reason_of(vault: Vault, member_id: str, ticket_id: str) -> str | None:
    """The newest reason an agent gave; None where none was, and as above."""
    sealed = _peek(vault, member_id, f"ticket/{ticket_id}/reason")
    return sealed.decode() if sealed else None


def _peek(vault: Vault, member_id: str, item: str) -> bytes | None:
    """One ticket's words that don't open must not keep the others from being worked."""
    try:
        return vault.peek(f"member/{member_id}", item)
    except Unreadable:
        return None
