"""Following the events as a stream: who asks for one, from where, and whether they still may."""

from dataclasses import replace
from functools import partial
from typing import Any

from flask import request

from api.accepted import preferred
from api.callers import of_api_token
from api.calls import JSON, Answer
from api.fields import DIGITS
from api.visits import Visit
from commands.check_pass import judge
from commands.ports import Desk
from domain.refusals import Malformed, Unauthenticated
from projections import as_of

MEDIA_TYPE = "text/event-stream"
HEADERS = {"X-Accel-Buffering": "no"}
"""nginx would collect the stream otherwise."""
PAGE = 100


def wanted() -> bool:
    """Whether the request prefers a stream to a page."""
    return preferred((JSON, MEDIA_TYPE)) == MEDIA_TYPE


def begin(after: int) -> int:
    """Where to begin: a client that comes again says so in Last-Event-ID."""
    last = request.headers.get("Last-Event-ID", "")
    if last and not DIGITS.fullmatch(last):
        raise Malformed("Last-Event-ID: is no position.")
    return int(last) if last else after


def holds(visit: Visit) -> bool:
    """Whether the credential that the stream was opened with still stands."""
    try:
        return _holds(visit, visit.backend.sit(visit.desk))
    except Unauthenticated:
        return False


def _holds(visit: Visit, desk: Desk) -> bool:
    caller = visit.caller
    if caller.token_id is not None:
        known = desk.credentials.by_subject("api", caller.token_id)
        return known is not None and of_api_token(desk, known).role == caller.role
    holder, now = caller.holder, replace(visit.context, at=visit.backend.clock())
    if holder is None or now.at >= holder.claims.expires_at:
        return False
    seen = judge(holder.claims, now, desk)
    return seen.opens and seen.member.roles == holder.member.roles


def stream(visit: Visit, read: Any, after: int) -> Answer:
    """The stream behind a position; `read` is the backend's events with its filters set."""
    after = begin(after)
    refuse_beyond(visit, after)
    here = visit.backend.streams
    return Answer(
        closed=here.take(),
        stream=here.lines(
            lambda behind: read(after=behind, limit=PAGE), after, partial(holds, visit)
        ),
        media_type=MEDIA_TYPE,
        headers=HEADERS,
    )


def refuse_beyond(visit: Visit, after: int) -> None:
    """Raise Malformed for a position that is not there yet."""
    with visit.backend.reads.connection() as connection:
        as_of.refuse_beyond(connection, after, "after")
