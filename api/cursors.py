"""Cursors of pages: signed, and good for nothing but the query that they came from."""

import base64
import binascii
import hashlib
import hmac
import json

from domain.refusals import Malformed

TAG_BYTES = 16


class Cursors:
    """Signs where a page ended, and reads it back."""

    def __init__(self, key: bytes) -> None:
        """Sign with `key`."""
        self._key = key

    def write(self, after: int | str, query: tuple[object, ...]) -> str:
        """A cursor that continues `query` behind `after`."""
        payload = json.dumps(after).encode()
        sealed = self._tag(payload, query) + payload
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def read(self, cursor: str, query: tuple[object, ...]) -> int | str:
        """Where `query` goes on; raises Malformed for any other cursor."""
        try:
            sealed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_")
        except (binascii.Error, ValueError):
            raise forged() from None
        tag, payload = sealed[:TAG_BYTES], sealed[TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(payload, query)):
            raise forged()
        after: int | str = json.loads(payload)
        return after

    def _tag(self, payload: bytes, query: tuple[object, ...]) -> bytes:
        signed = repr(query).encode() + b"\0" + payload
        return hmac.new(self._key, signed, hashlib.sha256).digest()[:TAG_BYTES]


def forged() -> Malformed:
    """The refusal of a cursor that is not of this query."""
    return Malformed("cursor: does not belong to this query.")
