"""Refusals as problem+json (RFC 9457), with the headers that go with them."""

from typing import Any

from flask import Response, json

from api.refusals import TITLES, status_of
from domain.refusals import NotFound, Refusal, Unauthenticated
from domain.times import rfc3339

MEDIA_TYPE = "application/problem+json"


def document(refusal: Refusal, *, public_url: str, request_id: str) -> dict[str, Any]:
    """The problem document of a refusal; nothing of the input is in it."""
    return {
        "type": f"{public_url}/problems/{refusal.slug}",
        "title": TITLES[refusal.slug],
        "status": status_of(refusal),
        "detail": refusal.detail or TITLES[refusal.slug],
        "request_id": request_id,
        "attempts_left": refusal.attempts_left,
        "locked_until": rfc3339(refusal.locked_until),
    }


def problem(refusal: Refusal, *, public_url: str, request_id: str) -> Response:
    """The answer that says no."""
    status = status_of(refusal)
    body = document(refusal, public_url=public_url, request_id=request_id)
    response = Response(json.dumps(body), status=status, mimetype=MEDIA_TYPE)
    if isinstance(refusal, Unauthenticated):
        response.headers["WWW-Authenticate"] = "Bearer"
    if status in (429, 503):
        response.headers["Retry-After"] = str(max(1, refusal.retry_after or 1))
    if refusal.position is not None:
        response.headers["Twinlock-Position"] = str(refusal.position)
    return response


def no_such_thing() -> NotFound:
    """What is not there and what belongs to others get the same words."""
    return NotFound("There is nothing here, or it is not yours to see.")
