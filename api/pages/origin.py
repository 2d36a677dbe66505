"""Whether a form was sent from our own page: by where the request comes from, and by its token."""

from urllib.parse import urlsplit

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from api.pages.browsers import Browser
from api.pages.refusals import CrossSite, StaleForm
from api.refusals import TooLarge
from api.strict_json import MOST_BYTES, UNSAFE
from domain.refusals import Malformed

FIELD = "csrf"


def receive_form() -> None:
    """Read the form whole, before anybody looks at clock and session.

    Raises TooLarge, and Malformed for a character that no text has, here or in the address.
    """
    if (request.content_length or 0) > MOST_BYTES:
        raise TooLarge
    try:
        given = [*request.args.items(multi=True), *request.form.items(multi=True)]
    except RequestEntityTooLarge:
        raise TooLarge from None
    if any(UNSAFE.search(value) for _, value in given):
        raise Malformed("A field holds a character that is not accepted.")


def require_own_form(browser: Browser, public_url: str) -> None:
    """Raises CrossSite for a form of another site, StaleForm for one of an older session."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None and site != "same-origin":
        raise CrossSite
    # A page that sends no referrer sends no origin either: then it says "null".
    if origin not in (None, "null", origin_of(public_url)):
        raise CrossSite
    if browser.knows(request.form.get(FIELD, "")):
        return
    if site is None and origin in (None, "null"):
        raise CrossSite
    raise StaleForm


def origin_of(url: str) -> str:
    """Scheme, host and port of an address (RFC 6454)."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
