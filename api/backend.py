"""What the API is handed, named from the inside: the composition root builds it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from api.streams import Places, Streams
from commands.ports import Desk, Write
from projections.progress import Connections


class Limiter(Protocol):
    """Counts calls across all processes."""

    def admit(self, name: str, caller: bytes, limit: int, at: datetime) -> int | None:
        """Count one call of `caller`; seconds to wait where that is beyond `limit` an hour."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a request ended: status, position and the body less its secrets."""

    status: int
    position: int | None
    body: Any | None


class Idempotency(Protocol):
    """Remembers what became of a request under a caller's key, for 24 hours."""

    def begin(self, caller: str, key: str, *, route: str, body: bytes) -> int | Outcome:
        """The number of this attempt at a new request, or the outcome of a repeated one.

        Raises IdempotencyMismatch for another request under the same key, and InProgress while
        the first one is being worked on.
        """
        ...

    def mark(self, caller: str, key: str, attempt: int, outcome: Outcome) -> Write:
        """The write that commits with the command's append; it knows the position by itself."""
        ...

    def finish(self, caller: str, key: str, attempt: int, outcome: Outcome) -> None:
        """Remember how it ended; best effort."""
        ...

    def abandon(self, caller: str, key: str, attempt: int) -> None:
        """Forget a request that took no effect; best effort."""
        ...


class Events(Protocol):
    """Reads events as they leave: CloudEvents out of the store."""

    def __call__(
        self, *, after: int, types: frozenset[str] | None, workspace_id: str | None, limit: int
    ) -> tuple[Sequence[Mapping[str, Any]], int]:
        """At most `limit` events behind `after`, and the position to go on from."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a browser's cookie stands for; `id` names it to its member and opens nothing.

    `kind` is member, login or requester; `claims` are those of a pass or of a pending login,
    and what the browser is in the middle of.
    """

    id: str
    kind: str
    member_id: str | None
    claims: Mapping[str, Any]
    label: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime


class Sessions(Protocol):
    """Browsers' sessions, of whose tokens only hashes are kept; ended ones are not found."""

    def open(self, session: Session, token: str, *, instead_of: str | None = None) -> None:
        """Make the token mean the session, and end the one that it takes the place of."""
        ...

    def find(self, token: str, at: datetime) -> Session | None: ...

    def note(self, session_id: str, notes: Mapping[str, Any]) -> None:
        """Add to the claims; None takes one away."""
        ...

    def of_member(self, member_id: str, at: datetime) -> Sequence[Session]:
        """The member's live sessions of kind member, the newest first."""
        ...

    def end(self, session_id: str) -> None: ...


class Passwords(Protocol):
    """The first factor of the demonstration realm."""

    def check(self, name: str, password: str) -> tuple[str, str] | None:
        """Workspace and member of the account with that id or address; None if not right."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What is told about the events: the AsyncAPI document, and the schemas by type."""

    asyncapi: Mapping[str, Any] = field(default_factory=dict)
    schemas: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof in base64: the hash that it starts from, the path, and the root it leads to."""

    start: str
    path: Sequence[str]
    root: str


@dataclass(frozen=True, slots=True)
class Head:
    """The newest checkpoint: how many events it vouches for, and their root in base64."""

    size: int
    root: str


class Proofs(Protocol):
    """What the notary has signed, and proofs out of its tree."""

    def verifiers(self) -> Sequence[str]:
        """The keys that verify, the newest first."""
        ...

    def checkpoint(self) -> str | None:
        """The newest checkpoint as a signed note; None where nothing was signed yet."""
        ...

    def head(self) -> Head | None: ...
    def number_at(self, position: int) -> int | None:
        """The place of the event at a position among all events; None where there is none."""
        ...

    def inclusion(self, number: int, size: int) -> Proof: ...
    def consistency(self, old: int, size: int) -> Proof: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What is left to do: events that read models have not applied and records that they could
    not, by model, and mails that are late by a minute or were tried in vain."""

    behind: Mapping[str, int]
    parked: Mapping[str, int]
    overdue_mails: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """Everything that requests are answered with.

    `sit` makes of `desk` that of one request, which reads no stream twice.
    `passwords` is None outside of demonstrations: hosts check the first factor.
    `trusted_proxies` is how many proxies in front add to X-Forwarded-For; `checks` are named
    probes for /readyz that raise when their part is not usable; `backlog` is asked by /metrics.
    `exports` are the places of files that are sent as they are read, apart from those of `streams`.
    """

    desk: Desk
    sit: Callable[[Desk], Desk]
    reads: Connections
    idempotency: Idempotency
    limiter: Limiter
    events: Events
    proofs: Proofs
    jwks: Callable[[], Mapping[str, Any]]
    clock: Callable[[], datetime]
    public_url: str
    sessions: Sessions
    passwords: Passwords | None = None
    anonymous_limit: int = 30
    trusted_proxies: int = 0
    metrics: bool = False
    backlog: Callable[[], Backlog] | None = None
    streams: Streams = field(default_factory=Streams)
    exports: Places = field(default_factory=Places)
    published: Published = field(default_factory=Published)
    checks: Mapping[str, Callable[[], object]]
