"""The lines of an audit export, read one at a time; what is none of them is said to be broken."""

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any

from domain.leaves import Content
from domain.notes import BadNote, Key
from domain.seals import FAMILY, FORMAT, Manifest
from domain.tampering import Found

LONGEST = 64 * 1024 * 1024
"""Bytes of a line; only the header of a very large export comes near."""
HEADER = frozenset({"format", "manifest", "signature", "keys"})
NAMES = frozenset({"chunk", "checkpoint", "kept", "end", "position"})


class Foreign(Exception):
    """The file is no export that this release can read; the message says why and where."""


@dataclass(frozen=True, slots=True)
class Header:
    """The first line; `note` is the signed manifest, `keys` are those that the file names."""

    manifest: Manifest
    note: str
    keys: Sequence[Key]


@dataclass(frozen=True, slots=True)
class Note:
    """A checkpoint; `outside` is one that was kept apart from the history."""

    text: str
    outside: bool
    place: str


@dataclass(frozen=True, slots=True)
class Opening:
    """A chunk begins."""

    number: int
    seal: str
    place: str


@dataclass(frozen=True, slots=True)
class End:
    """The export is complete."""

    export_id: str
    place: str


Line = Note | Opening | Found | End


def header(raw: bytes) -> Header | None:
    """The first line; None where an export has lost its header. Raises Foreign for other files."""
    said = _json(raw)
    name = said.get("format")
    if name is None and said.keys() & NAMES:
        return None
    if not isinstance(name, str) or not name.startswith(FAMILY):
        raise Foreign("line 1: it is no audit export of Twinlock")
    if name != FORMAT:
        raise Foreign(f"line 1: an export of another version ({name[:60]}); this is {FORMAT}")
    if said.keys() != HEADER or not raw.endswith(b"\n"):
        raise Foreign("line 1: the header cannot be read (it holds too much, or not enough)")
    try:
        manifest = Manifest.read(said["manifest"])
        keys = [Key.parse(key) for key in said["keys"]]
        return Header(manifest, f"{manifest.text}\n{said['signature']}\n", keys)
    except (BadNote, AttributeError, TypeError) as error:
        raise Foreign(f"line 1: the header cannot be read ({error})") from None


def read(file: IO[bytes]) -> Iterator[bytes]:
    """The lines of a file as they are; one that is longer than memory bears, in pieces."""
    return iter(lambda: file.readline(LONGEST), b"")


def lines(raws: Iterable[bytes]) -> Iterator[Line | None]:
    """What stands behind the header; None for a last line that was torn off."""
    number, pieces = 2, 0
    for raw in raws:
        pieces += 1
        if raw.endswith(b"\n"):
            place = f"line {number}"
            yield _line(raw, place) if pieces == 1 else Found(None, None, place)
            number, pieces = number + 1, 0
    if pieces:
        yield None


def _line(raw: bytes, place: str) -> Line:
    """A line; a field too many, or of another type, makes it unreadable."""
    match _json(raw):
        case {"position": int(position), **rest}:
            return _event(rest, position, place)
        case {"chunk": int(number), "seal": str(seal), **rest} if not rest:
            return Opening(number, seal, place)
        case {"checkpoint": str(text), **rest} if not rest:
            return Note(text, False, place)
        case {"kept": str(text), **rest} if not rest:
            return Note(text, True, place)
        case {"end": str(export_id), **rest} if not rest:
            return End(export_id, place)
    return Found(None, None, place)


def _event(said: dict[str, Any], position: int, place: str) -> Found:
    match said:
        case {"stream": str(stream), "version": int(version), "topic": str(topic), **rest}:
            state = _state(rest)
            if state is not None and 0 <= version < 1 << 63:
                return Found(position, Content(stream, version, topic, state), place)
    return Found(position, None, place)


def _state(rest: dict[str, Any]) -> bytes | None:
    try:
        match rest:
            case {"state": str(text)} if len(rest) == 1:
                return text.encode()
            case {"state_base64": str(text)} if len(rest) == 1:
                return base64.b64decode(text, validate=True)
    except ValueError:
        pass
    return None


def _json(raw: bytes) -> dict[str, Any]:
    """The object on a line; an empty one where there is none, or text in it that is no UTF-8."""
    try:
        said = json.loads(raw.decode(), object_pairs_hook=_plain)
        if b"\\u" in raw:
            json.dumps(said, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _plain(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which each name stands once, and no boolean, which Python takes for a number."""
    said = dict(pairs)
    if len(said) < len(pairs) or any(isinstance(each, bool) for each in said.values()):
        raise ValueError("a name stands twice, or a boolean")
    return said
