"""Master keys and the sealing of bytes: AES-256-GCM with associated data (NIST SP 800-38D)."""

import base64
import binascii
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.refusals import Unreadable

NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32
ENTRY: Final = re.compile(r"([A-Za-z0-9._-]{1,64}):([A-Za-z0-9+/_=-]+)")


class BadKeys(ValueError):
    """Master keys that can't be read; the message never shows them."""


@dataclass(frozen=True, slots=True)
class MasterKeys:
    """Keys by id; the first one wraps, and all of them open."""

    current: str
    by_id: dict[str, bytes] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "MasterKeys":
        """Read `id:base64` entries apart by commas or white space; raises BadKeys."""
        entries = [_entry(part) for part in re.split(r"[,\s]+", text.strip()) if part]
        if not entries:
            raise BadKeys("no key is given")
        if len({key_id for key_id, _ in entries}) != len(entries):
            raise BadKeys("a key id is given twice")
        return cls(entries[0][0], dict(entries))


def _entry(text: str) -> tuple[str, bytes]:
    match = ENTRY.fullmatch(text)
    if match is None:
        raise BadKeys("each key reads id:base64")
    try:
        key = base64.urlsafe_b64decode(match[2].replace("+", "-").replace("/", "_"))
    except binascii.Error:
        raise BadKeys(f"key {match[1]} is not base64") from None
    if len(key) != KEY_BYTES:
        raise BadKeys(f"key {match[1]} has {len(key)} bytes and not {KEY_BYTES}")
    return match[1], key


class Keyring:
    """The master keys of a running process; a file is read again before one wraps or is missing."""

    def __init__(self, text: str = "", *, file: Path | None = None) -> None:
        """Take the keys from the text, or from the file; raises BadKeys."""
        self._file = file
        self._keys = MasterKeys.parse(file.read_text() if file else text)

    @property
    def current(self) -> str:
        """The id of the key that wraps now."""
        return self._keys.current

    @property
    def ids(self) -> set[str]:
        """The ids of all keys that open."""
        return set(self._keys.by_id)

    def reload(self) -> None:
        """Read the file again; what can't be read leaves the keys as they are."""
        if self._file is None:
            return
        try:
            self._keys = MasterKeys.parse(self._file.read_text())
        except (OSError, UnicodeDecodeError, BadKeys):
            return

    def wrap(self, plain: bytes, bound_to: bytes) -> tuple[str, bytes]:
        """Seal a data key under the current master key; answers the master key's id too."""
        self.reload()  # nothing new under a key that is to be taken away
        keys = self._keys
        label = _label(b"twinlock/key", bound_to, keys.current.encode())
        return keys.current, seal(keys.by_id[keys.current], plain, label)

    def unwrap(self, key_id: str, wrapped: bytes, bound_to: bytes) -> bytes:
        """Open a data key; raises Unreadable without its master key, or if it doesn't open."""
        if key_id not in self._keys.by_id:
            self.reload()
        master = self._keys.by_id.get(key_id)
        if master is None:
            raise Unreadable("A master key is missing.", retry_after=60)
        label = _label(b"twinlock/key", bound_to, key_id.encode())
        return unseal(master, wrapped, label)


def item_label(owner: str, item: str) -> bytes:
    """What an item's ciphertext is bound to."""
    return _label(b"twinlock/item", owner.encode(), item.encode())


def seal(key: bytes, plain: bytes, label: bytes) -> bytes:
    """Encrypt and authenticate, bound to `label`: a 12-byte random nonce, then the ciphertext."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, label)


def unseal(key: bytes, sealed: bytes, label: bytes) -> bytes:
    """Decrypt; raises Unreadable for anything that was not sealed with this key and label."""
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], label)
    except (InvalidTag, ValueError):
        raise Unreadable("A sealed value cannot be opened.", retry_after=60) from None


def _label(*parts: bytes) -> bytes:
    """Parts apart by a byte that none of them holds: PostgreSQL's text has no NUL."""
    return b"\0".join(parts)
