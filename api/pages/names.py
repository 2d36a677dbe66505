"""What people are called on pages, out of the vault."""

from dataclasses import dataclass

from api.visits import Visit
from commands.contact import contact_of


@dataclass(frozen=True, slots=True, repr=False)
class Account:
    """Whose login or settings a page is about; the address is masked."""

    name: str
    address: str


def account_of(visit: Visit, member_id: str) -> Account:
    """The member by name and masked address; by id where there is neither."""
    contact = contact_of(visit.desk.vault, member_id)
    if contact is None:
        return Account(member_id, "")
    return Account(contact.name, contact.masked)
