"""Which of the kinds that an answer can have a request prefers."""

from collections.abc import Sequence

from flask import request
from werkzeug.datastructures import MIMEAccept


def preferred(kinds: Sequence[str]) -> str:
    """One of the media types, their parameters aside; the first for a HEAD, or where none is."""
    if request.method == "HEAD":
        return kinds[0]
    asked = [(kind.partition(";")[0].strip(), much) for kind, much in request.accept_mimetypes]
    return MIMEAccept(asked).best_match(kinds) or kinds[0]
