"""A sentence that the next page says: "The ticket is yours.", in a sealed cookie read once."""

import base64
import binascii
import hashlib
import hmac
from typing import Final

from flask import Response, g, request

NAME: Final = "__Host-twinlock-said"
SECONDS: Final = 60


def carry(response: Response, words: str) -> None:
    """Let the next page say it."""
    text = base64.urlsafe_b64encode(words.encode()).decode()
    response.set_cookie(
        NAME,
        f"{text}.{_seal(text)}",
        max_age=SECONDS,
        secure=True,
        httponly=True,
        samesite="Lax",
    )


def heard() -> str | None:
    """What the last page has to say."""
    text, _, seal = request.cookies.get(NAME, "").partition(".")
    if not text or "seal_key" not in g:
        return None
    if not hmac.compare_digest(seal.encode(), _seal(text).encode()):
        return None
    try:
        return base64.urlsafe_b64decode(text).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


def forget(response: Response) -> None:
    """It was said."""
    response.delete_cookie(NAME, secure=True, httponly=True, samesite="Lax")


def _seal(text: str) -> str:
    key: bytes = g.seal_key
    return hmac.new(key, b"said\x1f" + text.encode(), hashlib.sha256).hexdigest()
