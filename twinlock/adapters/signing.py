"""The notary's Ed25519 keys, sealed in the vault, and the verification of what they signed."""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from psycopg import Connection

from domain.notes import Key, open_note, write_note
from domain.refusals import Unavailable
from twinlock.adapters.database import Database
from twinlock.adapters.vault import SYSTEM, SealedVault

UNDER: Final = "notary/"


@dataclass(frozen=True, slots=True)
class NotaryKey:
    """A key pair with its published half, and since when (seconds of the epoch) it signs."""

    key: Key
    made_at: float
    private: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def of(cls, name: str, seed: bytes, made_at: float) -> "NotaryKey":
        """The pair of a 32-byte seed."""
        private = Ed25519PrivateKey.from_private_bytes(seed)
        return cls(Key(name, private.public_key().public_bytes_raw()), made_at, private)

    @classmethod
    def parse(cls, plain: bytes) -> "NotaryKey":
        """Read what `plain` wrote."""
        stored = json.loads(plain)
        return cls.of(stored["name"], bytes.fromhex(stored["seed"]), stored["made_at"])

    @property
    def plain(self) -> bytes:
        """The bytes to seal."""
        seed = self.private.private_bytes_raw().hex()
        stored = {"name": self.key.name, "seed": seed, "made_at": self.made_at}
        return json.dumps(stored).encode()


class NotarySigner:
    """Implements `workers.notary.Signer`: the newest key signs, and all of them are published."""

    def __init__(self, database: Database, vault: SealedVault, *, origin: str) -> None:
        """Read nothing yet; the first key takes `origin` for its name, and later ones keep it."""
        self._database = database
        self._vault = vault
        self._origin = origin

    def prepare(self, connection: Connection[Any]) -> None:
        """Make the first key while the schema is made."""
        if not self._vault.holds(connection, SYSTEM, UNDER):
            made = _fresh(self._origin, datetime.now(UTC))
            self._vault.put(connection, SYSTEM, UNDER + made.key.hash.hex(), made.plain)

    @property
    def origin(self) -> str:
        """What this installation's history is called, for good."""
        return self._newest_first()[0].key.name

    @property
    def keys(self) -> Sequence[Key]:
        """What verifies, the newest first."""
        return [each.key for each in self._newest_first()]

    def sign(self, text: str) -> str:
        """The text as a note, signed with the newest key; raises Unavailable without one."""
        pair = self._newest_first()[0]
        return write_note(text, pair.key, pair.private.sign(text.encode()))

    def open(self, note: str) -> str:
        """The text of a note of ours; raises BadNote for any other."""
        return open_note(note, self.keys, verified)

    def rotate(self, at: datetime) -> Key:
        """Sign with a new key of the same name from now on; older ones stay published.

        It is the newest, whatever the clock said when an older one was made.
        """
        newest = self._newest_first()[0]
        made = _fresh(newest.key.name, max(at, datetime.fromtimestamp(newest.made_at + 1, UTC)))
        write = self._vault.seal(SYSTEM, UNDER + made.key.hash.hex(), made.plain)
        self._database.execute(write.sql, write.params)
        return made.key

    def _newest_first(self) -> list[NotaryKey]:
        items = self._vault.items(SYSTEM, UNDER)
        if not items:
            raise Unavailable("The notary has no key; run: twinlock migrate", retry_after=60)
        pairs = [NotaryKey.parse(plain) for plain in items.values()]
        return sorted(pairs, key=lambda each: -each.made_at)


def verified(public: bytes, signature: bytes, message: bytes) -> bool:
    """Implements `domain.notes.Verify`."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def origin_of(public_url: str) -> str:
    """A name for the history out of the installation's address: host and path, and `/audit`."""
    return re.sub(r"[\s+]", "", public_url.partition("://")[2]) + "/audit"


def _fresh(name: str, at: datetime) -> NotaryKey:
    return NotaryKey.of(name, os.urandom(32), at.timestamp())
