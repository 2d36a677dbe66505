"""Signed notes and checkpoints as text (C2SP signed-note and tlog-checkpoint), keys aside."""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from domain.times import rfc3339

ED25519 = b"\x01"
NAME = re.compile(r"[^\s+]{1,255}")
DASH = "— "
NOTES = re.compile(r"(?:[^\n]+\n)+\n(?:— [^\n]+ [A-Za-z0-9+/=]{92,}\n)+")
"""A signature that is shorter was torn off."""
MOST = 1 << 26
"""Characters that a note may have."""

Verify = Callable[[bytes, bytes, bytes], bool]
"""Whether a signature is the public key's over a message: (public, signature, message)."""


class BadNote(ValueError):
    """A text that is no signed note, or none that a known key has signed."""


@dataclass(frozen=True, slots=True)
class Key:
    """A verifier's key: the name of whom it vouches for, and an Ed25519 public key."""

    name: str
    public: bytes

    @property
    def hash(self) -> bytes:
        """Four bytes that tell keys of one name apart."""
        return sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        """In the form `name+hash+base64` that verifiers take."""
        encoded = base64.b64encode(ED25519 + self.public).decode()
        return f"{self.name}+{self.hash.hex()}+{encoded}"

    @classmethod
    def parse(cls, text: str) -> "Key":
        """Read that form; raises BadNote."""
        name, _, rest = text.strip().partition("+")
        hashed, _, encoded = rest.partition("+")
        public = decoded(encoded)
        key = cls(name, public[1:])
        if public[:1] != ED25519 or len(public) != 33 or not NAME.fullmatch(name):
            raise BadNote("a key is not of the form name+hash+base64 for Ed25519")
        if key.hash.hex() != hashed:
            raise BadNote(f"the key of {name} does not have the hash that it says")
        return key


def write_note(text: str, key: Key, signature: bytes) -> str:
    """The text with a signature line."""
    encoded = base64.b64encode(key.hash + signature).decode()
    return f"{text}\n{DASH}{key.name} {encoded}\n"


def open_note(note: str, keys: Sequence[Key], verify: Verify) -> str:
    """The text of a note that one of the keys has signed; raises BadNote.

    A wrong signature under a known key refuses the note, whatever else it carries.
    """
    text, apart, lines = note.rpartition("\n\n")
    if not apart or not lines.endswith("\n") or len(note) > MOST:
        raise BadNote("it is no signed note")
    text += "\n"
    known = {(key.name, key.hash): key for key in keys}
    genuine = False
    for line in lines[:-1].split("\n"):
        name, _, encoded = line.removeprefix(DASH).partition(" ")
        signature = decoded(encoded)
        if not line.startswith(DASH) or len(signature) < 5:
            raise BadNote("a signature line is malformed")
        key = known.get((name, signature[:4]))
        if key is not None:
            if not verify(key.public, signature[4:], text.encode()):
                raise BadNote(f"the signature of {name} is wrong")
            genuine = True
    if not genuine:
        raise BadNote("no known key has signed it")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a log's notary vouched for: so many events, the last at `position`, have this root."""

    origin: str
    size: int
    root: bytes
    position: int
    made_at: datetime

    @property
    def text(self) -> str:
        """The text that is signed; position and time are extension lines."""
        encoded = base64.b64encode(self.root).decode()
        at = rfc3339(self.made_at, "seconds")
        return f"{self.origin}\n{self.size}\n{encoded}\nposition {self.position}\ntime {at}\n"

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Read a checkpoint's text; raises BadNote."""
        lines = text.split("\n")
        try:
            origin, size, root, position, at, end = lines
            found = cls(
                origin=origin,
                size=int(size),
                root=decoded(root),
                position=int(position.removeprefix("position ")),
                made_at=datetime.fromisoformat(at.removeprefix("time ")),
            )
        except ValueError as error:
            raise BadNote("it is no checkpoint") from error
        if found.text != text or end or len(found.root) != 32 or found.size < 0:
            raise BadNote("it is no checkpoint")
        return found


def decoded(text: str) -> bytes:
    """Base64, strictly; raises BadNote."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadNote("it holds what is no base64") from error


def split_notes(text: str) -> list[str]:
    """The notes that stand one after the other in a text; what is torn between them is passed."""
    return NOTES.findall(text)
