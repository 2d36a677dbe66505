"""Randomness out of the operating system, and ids that sort by time."""

import base64
import secrets
import time

from domain.onetime import CROCKFORD

TO_CROCKFORD = bytes.maketrans(b"0123456789ABCDEFGHIJKLMNOPQRSTUV", CROCKFORD.lower().encode())


class SystemChance:
    """Chance fit for secrets."""

    def id(self) -> str:
        """26 lower-case Crockford base32 characters: 48 bits of milliseconds, 80 of chance.

        Ids made together lie together in an index; the layout is ULID's.
        """
        number = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
        return base64.b32hexencode(number.to_bytes(20)).translate(TO_CROCKFORD)[-26:].decode()

    def token(self) -> str:
        """256 bits in 43 characters of base64url."""
        return secrets.token_urlsafe(32)

    def bytes(self, count: int) -> bytes:
        """Answer that many random bytes."""
        return secrets.token_bytes(count)
