"""JSON as it is accepted: an object in UTF-8, at most 64 KiB, shallow, nothing ambiguous."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Any, NoReturn

from flask import Request, request

from api.refusals import TooLarge, UnsupportedMediaType
from domain.refusals import Malformed

MOST_BYTES = 64 * 1024
DEEPEST = 32
KEPT = "twinlock.body"
UNSAFE = re.compile("[\x00\ud800-\udfff]")
"""NUL, which PostgreSQL's text does not hold, and lone surrogates, which are no characters."""


class StrictRequest(Request):
    """A request whose body is read once, whole, and only up to the limit."""

    def body(self) -> bytes:
        """The body; raises TooLarge, also where no length was announced."""
        if (self.content_length or 0) > MOST_BYTES:
            raise _too_large()
        read: bytes | None = self.environ.get(KEPT)
        if read is None:
            if self.headers.get("Transfer-Encoding"):
                # The server has undone the chunks and ends the stream where they end.
                self.environ["wsgi.input_terminated"] = True
            read = self.environ[KEPT] = b"".join(_pieces(self.stream))
        if len(read) > MOST_BYTES:
            raise _too_large()
        return read

    def receive(self) -> None:
        """Wait for the body, so that clock and credential are those of when it is all there.

        What is wrong with it is said in its turn, by whoever reads it.
        """
        with suppress(TooLarge):
            self.body()

    @property
    def want_form_data_parsed(self) -> bool:
        """No form here holds files, so what is sent in parts is not taken apart."""
        return self.mimetype == "application/x-www-form-urlencoded"

    def get_json(self, *_: Any, **__: Any) -> Any:
        """The body as a JSON object; no body is an empty one."""
        body = self.body()
        if not body:
            return {}
        if self.mimetype != "application/json":
            raise UnsupportedMediaType("Send application/json.")
        if self.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise UnsupportedMediaType("Send the body as it is, not encoded.")
        return parse(body)


def current() -> StrictRequest:
    """The request under way."""
    found = request._get_current_object()  # type: ignore[attr-defined]
    assert isinstance(found, StrictRequest)
    return found


def _pieces(stream: IO[bytes]) -> Iterator[bytes]:
    """Read until the end, or one byte beyond the limit."""
    left = MOST_BYTES + 1
    while left > 0 and (piece := stream.read(left)):
        left -= len(piece)
        yield piece


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object (RFC 8259) in `body`; raises Malformed without saying what it held."""
    try:
        text = body.decode("utf-8")
        _refuse_deep(text)
        parsed = json.loads(
            text, object_pairs_hook=_once_each, parse_constant=_refuse_constant, parse_int=_integer
        )
    except (ValueError, RecursionError):
        raise Malformed("The body is not acceptable JSON.") from None
    if not isinstance(parsed, dict):
        raise Malformed("The body must be a JSON object.")
    return parsed


def _refuse_deep(text: str) -> None:
    """Count brackets outside of strings before anything recurses."""
    depth, quoted, escaped = 0, False, False
    for character in text:
        if quoted:
            quoted, escaped = escaped or character != '"', character == "\\" and not escaped
        elif character == '"':
            quoted = True
        elif character in "[{":
            depth += 1
            if depth > DEEPEST:
                raise Malformed("The body is nested too deeply.")
        elif character in "]}":
            depth -= 1


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("A name stands twice in one object.")
    for name, value in pairs:
        if UNSAFE.search(name) or (isinstance(value, str) and UNSAFE.search(value)):
            raise Malformed("The body holds a character that is not accepted.")
    return found


def _refuse_constant(_: str) -> NoReturn:
    raise Malformed("The body is not acceptable JSON.")


def _integer(digits: str) -> int:
    if len(digits) > 20:
        raise Malformed("A number is too long.")
    return int(digits)


def _too_large() -> TooLarge:
    return TooLarge("The body is longer than 64 KiB.")
