"""The member's personal data as the vault keeps it: address, name and language."""

import json
from dataclasses import asdict, dataclass

from commands.ports import Vault
from domain.addresses import normal_address

CONTACT = "contact"
LONGEST = 254
"""Octets of the longest address that mail knows (RFC 5321 section 4.5.3.1.3)."""


@dataclass(frozen=True, slots=True, repr=False)
class Contact:
    """Where and how the member is written to; `locale` is en or zh."""

    email: str
    name: str
    locale: str = "en"

    def sealed(self) -> bytes:
        """The bytes to seal."""
        return json.dumps(asdict(self)).encode()

    @property
    def masked(self) -> str:
        """The address with all but its first letter and domain hidden."""
        local, _, host = self.email.rpartition("@")
        return f"{local[:1]}***@{host}"


def previous(version: int | str) -> str:
    """The item that keeps who was written to before a change of address, until that is told.

    `version` is the change's place in the member's stream: each change has an item of its own.
    """
    return f"contact/before/{version}"


def contact_of(vault: Vault, member_id: str) -> Contact | None:
    """The member's contact; None where the member is unknown or erased."""
    sealed = vault.peek(f"member/{member_id}", CONTACT)
    return Contact(**json.loads(sealed)) if sealed else None


def account_label(vault: Vault, member_id: str) -> str:
    """What an authenticator app calls the account: its address, or the member's id.

    That is without an address, and for one so long that no QR code may hold it.
    """
    contact = contact_of(vault, member_id)
    if contact is None or len(contact.email.encode()) > LONGEST:
        return member_id
    return contact.email


def same_address(one: str, other: str) -> bool:
    """Whether two addresses are one mailbox, as the vault's index has it too."""
    return normal_address(one) == normal_address(other)
