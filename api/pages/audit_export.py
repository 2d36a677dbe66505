"""The audit trail as a file: exactly what the filters let through, oldest first."""

from flask import Response
from pydantic import ValidationError

from api import exports
from api.audit_scope import within_scope
from api.pages import typed
from api.pages.audit_filters import Asked
from api.visits import Visit
from domain.refusals import Malformed

FORMATS = ("csv", "ndjson")


def export(visit: Visit) -> Response:
    """The same stream as the API's, recorded alike."""
    kind = typed.text("format")
    if kind not in FORMATS:
        raise Malformed("format: is none of those that there are.")
    try:
        wanted = within_scope(visit, Asked.read().filter())
    except ValidationError:
        raise Malformed("A filter cannot be.") from None
    said = exports.export(visit, exports.Wanted(filter=wanted), kind)
    response = Response(said.stream, mimetype=said.media_type, headers=dict(said.headers))
    if said.closed is not None:
        response.call_on_close(said.closed)
    return response
