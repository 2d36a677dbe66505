"""What mails carry and nobody keeps: codes and links are derived again to be compared."""

from commands.ports import Keys
from domain.onetime import cancel_token


def code_key(keys: Keys) -> bytes:
    """The key that mailed codes are made with."""
    return keys.derived("email-codes")


def link_token(keys: Keys, ticket_id: str) -> str:
    """The token of the ticket's mailed link."""
    return cancel_token(keys.derived("cancel-tokens"), ticket_id=ticket_id)
