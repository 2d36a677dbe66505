"""Refusals that only HTTP knows, and the one table from a refusal's kind to its status."""

from domain.refusals import (
    CodeRejected,
    Conflict,
    Forbidden,
    Malformed,
    NotFound,
    Refusal,
    TooMany,
    Unauthenticated,
    Unavailable,
)


class TooLarge(Refusal):
    """The body is longer than 64 KiB."""

    slug = "too-large"


class UnsupportedMediaType(Refusal):
    """The body is not JSON."""

    slug = "unsupported-media-type"


class MethodNotAllowed(Refusal):
    """The address exists, but not with this method."""

    slug = "method-not-allowed"


class IdempotencyMismatch(Malformed):
    """Another request was sent under this Idempotency-Key."""

    slug = "idempotency-mismatch"


class InProgress(Conflict):
    """The first request under this Idempotency-Key is still being worked on."""

    slug = "in-progress"


class Internal(Refusal):
    """Something went wrong on our side."""

    slug = "internal"


STATUS: dict[type[Refusal], int] = {
    Unauthenticated: 401,
    NotFound: 404,
    Forbidden: 403,
    CodeRejected: 403,
    MethodNotAllowed: 405,
    TooLarge: 413,
    UnsupportedMediaType: 415,
    Malformed: 422,
    Conflict: 409,
    TooMany: 429,
    Unavailable: 503,
    Internal: 500,
}
TITLES = {
    "unauthenticated": "No valid credential",
    "not-found": "Not found",
    "forbidden": "Not allowed",
    "code-rejected": "Code not accepted",
    "method-not-allowed": "Method not allowed",
    "too-large": "Body too large",
    "unsupported-media-type": "Body is not JSON",
    "malformed": "Malformed request",
    "idempotency-mismatch": "Idempotency-Key was used for another request",
    "in-progress": "The first request is still in progress",
    "illegal-transition": "Not possible in this state",
    "already-bound": "An authenticator is bound already",
    "not-bound": "No authenticator is bound",
    "ticket-open": "A ticket is open already",
    "email-taken": "The address belongs to another member",
    "erased": "The account was erased",
    "too-many-requests": "Too many requests",
    "locked": "Locked after too many refused codes",
    "unavailable": "Temporarily unavailable",
    "not-yet-visible": "Not visible yet",
    "internal": "Internal error",
}
"""Every slug there is, with the title of its problem."""


def status_of(refusal: Refusal) -> int:
    """The HTTP status, decided by the nearest kind in the refusal's ancestry."""
    return _status(type(refusal))


def status_of_slug(slug: str) -> int:
    """The HTTP status under which a slug is answered."""
    return _status(_kind(slug))


def _status(kind: type[Refusal]) -> int:
    return next(STATUS[each] for each in kind.__mro__ if each in STATUS)


def _kind(slug: str) -> type[Refusal]:
    kinds = [Refusal]
    for kind in kinds:
        if kind.slug == slug:
            return kind
        kinds.extend(kind.__subclasses__())
    raise KeyError(slug)
