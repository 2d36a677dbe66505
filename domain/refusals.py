"""Why Twinlock says no: typed refusals, each with a stable slug and one of a few kinds."""

from datetime import datetime


class Refusal(Exception):
    """A request that was understood and is not granted: `slug` is stable, `detail` for people."""

    slug = "refused"

    def __init__(
        self,
        detail: str = "",
        *,
        attempts_left: int | None = None,
        locked_until: datetime | None = None,
        retry_after: int | None = None,
    ) -> None:
        """Say `detail` (no input is echoed); times are aware, `retry_after` is in seconds."""
        super().__init__(detail)
        self.detail = detail
        self.attempts_left = attempts_left
        self.locked_until = locked_until
        self.retry_after = retry_after
        self.position: int | None = None


class Unauthenticated(Refusal):
    """No credential, or one that does not hold."""

    slug = "unauthenticated"


class NotFound(Refusal):
    """No such thing, or it belongs to others."""

    slug = "not-found"


class Forbidden(Refusal):
    """The credential is good, but not for this."""

    slug = "forbidden"


class Malformed(Refusal):
    """The input has the wrong shape; nothing was counted."""

    slug = "malformed"


class Conflict(Refusal):
    """The request does not fit the state of things."""

    slug = "illegal-transition"


class IllegalTransition(Conflict):
    """The thing is in a state from which this step is not taken."""


class AlreadyBound(Conflict):
    """The member has an authenticator: unbind first."""

    slug = "already-bound"


class NotBound(Conflict):
    """The member has no authenticator, or the one meant is gone."""

    slug = "not-bound"


class TicketOpen(Conflict):
    """The member has an open ticket already."""

    slug = "ticket-open"


class EmailTaken(Conflict):
    """The address belongs to another member."""

    slug = "email-taken"


class Erased(Conflict):
    """The account was erased; its id is never used again."""

    slug = "erased"


class CodeRejected(Refusal):
    """The code is wrong, used or expired; which of them is not said."""

    slug = "code-rejected"


class TooMany(Refusal):
    """Slow down: `retry_after` says by how much."""

    slug = "too-many-requests"


class Locked(TooMany):
    """Too many failures; `locked_until` says when the next code is looked at."""

    slug = "locked"


class Unavailable(Refusal):
    """Something this needs cannot be reached or read now; nothing was decided."""

    slug = "unavailable"


class Unreadable(Unavailable):
    """What is stored of somebody cannot be read, until an operator mends it."""


class NotYetVisible(Unavailable):
    """The read model has not yet applied the position asked for."""

    slug = "not-yet-visible"
