"""Codes that are mailed, derived from a key, and recovery codes that are written down."""

import hashlib
import hmac
import re
from typing import Final

CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
BIND, TICKET, ANONYMOUS = "bind", "ticket", "anonymous_ticket"
"""What a mailed code is for; each has its own budget, and a newer one voids only its own kind."""

EMAIL_CODE: Final = {
    BIND: re.compile(r"[0-9]{6}", re.ASCII),
    TICKET: re.compile(rf"[{CROCKFORD}]{{8}}", re.ASCII),
    ANONYMOUS: re.compile(rf"[{CROCKFORD}]{{8}}", re.ASCII),
}
RECOVERY_CODE: Final = re.compile(rf"(?:[{CROCKFORD}]{{4}}-){{3}}[{CROCKFORD}]{{4}}", re.ASCII)


def email_code(key: bytes, *, purpose: str, member_id: str, challenge_id: str) -> str:
    """The code of a challenge: six digits to bind, eight Crockford base32 characters for a ticket.

    A keyed function (HMAC-SHA-256) of purpose, member and challenge, so nobody stores it.
    """
    number = int.from_bytes(_derive(key, "email-code", purpose, member_id, challenge_id))
    return f"{number % 10**6:06d}" if purpose == BIND else crockford(number % 32**8, 8)


def cancel_token(key: bytes, *, ticket_id: str) -> str:
    """The one-time token of the mailed link that cancels a ticket: 256 bits in hexadecimal."""
    return _derive(key, "cancel-ticket", ticket_id).hex()


def same(expected: str, given: str) -> bool:
    """Whether two codes are equal, in constant time."""
    return hmac.compare_digest(expected.encode(), given.encode())


def recovery_code(entropy: bytes) -> str:
    """Write ten random bytes as `XXXX-XXXX-XXXX-XXXX`, 80 bits in Crockford base32."""
    text = crockford(int.from_bytes(entropy), 16)
    return "-".join(text[i : i + 4] for i in range(0, 16, 4))


def recovery_digest(code: str) -> str:
    """What is kept of a recovery code: its SHA-256; 80 bits of chance need no slow hash."""
    return hashlib.sha256(code.encode()).hexdigest()


def crockford(number: int, length: int) -> str:
    """Write the low `5 * length` bits of `number` in Crockford base32."""
    return "".join(CROCKFORD[(number >> 5 * i) & 31] for i in reversed(range(length)))


def _derive(key: bytes, *parts: str) -> bytes:
    return hmac.new(key, "\x1f".join(parts).encode(), hashlib.sha256).digest()
