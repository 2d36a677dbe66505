"""What commands need from the outside, named from the inside: store, vault, credentials, chance."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from domain.facts import Actor, Aggregate, Fact
from domain.refusals import Refusal

A = TypeVar("A", bound=Aggregate)
B = TypeVar("B", bound=Aggregate)
Change = tuple[Aggregate, Sequence[Fact]]
"""An aggregate as it was loaded, and what happened to it: appended at its version or not at all."""


class Write(Protocol):
    """A change to vault or credentials that commits together with an append, or not at all."""

    @property
    def sql(self) -> str: ...
    @property
    def params(self) -> Sequence[Any]: ...


Once = Callable[[Refusal | None], Write]


class Stale(Exception):
    """Somebody else appended to one of the streams since it was loaded: load and decide again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Who asks, when (aware UTC) and under which request id.

    `once` makes what is committed with the first append, so that a repeated request is recognised:
    out of the `refusal` that the append records, if it does.
    `revocations` is how often a caller in person had been signed out when it was let in.
    """

    at: datetime
    actor: Actor
    request_id: str
    workspace_id: str | None = None
    once: Once | None = None
    refusal: Refusal | None = None
    revocations: int | None = None


class Store(Protocol):
    """The event store."""

    def load(self, kind: type[A], stream_id: str, /) -> A:
        """Fold the stream; a stream without events is the aggregate at version 0."""
        ...

    def load_pair(self, one: tuple[type[A], str], other: tuple[type[B], str]) -> tuple[A, B]:
        """Fold two streams, in one round trip."""
        ...

    def append(self, context: Context, *changes: Change, also: Iterable[Write] = ()) -> int:
        """Append every change and write in one transaction; answers the last event's position.

        Without any fact the writes alone are committed, and the answer is the head's position.
        Raises Stale, or Unavailable after at most two seconds.
        """
        ...

    def head(self) -> int:
        """The position up to which every event can be read."""
        ...


class Vault(Protocol):
    """Secrets and personal data, sealed under a key per owner; owners are stream names."""

    def seal(self, owner: str, item: str, plain: bytes) -> Write: ...
    def open(self, owner: str, item: str) -> bytes:
        """The plain bytes; raises Unavailable where they are missing or don't open."""
        ...

    def peek(self, owner: str, item: str) -> bytes | None:
        """The plain bytes, or None where there is no such item."""
        ...

    def discard(self, owner: str, item: str) -> Write:
        """Drop an item, or, where `item` ends in /, all items under it."""
        ...

    def destroy(self, owner: str) -> Write:
        """Destroy the owner's key, rows and address."""
        ...

    def claim_address(self, member_id: str, email: str) -> Write:
        """Tie the address to the member; the append raises EmailTaken if it is another's."""
        ...

    def member_at(self, email: str) -> str | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A bearer token's meaning; kind: api, login, ticket, cancel, handover, exchange."""

    kind: str
    subject: str
    claims: Mapping[str, Any]
    expires_at: datetime | None = None


class Credentials(Protocol):
    """Bearer tokens, of which only hashes are kept. Expired ones are not found."""

    def issue(self, credential: Credential, token: str) -> Write: ...
    def find(self, kind: str, token: str) -> Credential | None: ...
    def by_subject(self, kind: str, subject: str) -> Credential | None: ...
    def of_kind(self, kind: str) -> Sequence[Credential]: ...
    def spend(self, kind: str, token: str) -> Credential | None:
        """Find and take away in one step, so that a token works once."""
        ...

    def withdraw(self, kind: str, subject: str) -> Write: ...
    def decoy(self) -> Write:
        """A durable write that means nothing, for answers that must cost the same."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """The claims of a pass (RFC 7519); `auth_time` and `expires_at` are aware UTC."""

    member_id: str
    workspace_id: str
    amr: tuple[str, ...]
    epoch: int
    auth_time: datetime
    issued_at: datetime
    expires_at: datetime
    id: str


class Passes(Protocol):
    """Signs passes and reads them back."""

    def sign(self, claims: Pass) -> str: ...
    def read(self, token: str, at: datetime) -> Pass | None:
        """The claims of a genuine, unexpired pass; None for anything else."""
        ...


class Chance(Protocol):
    """Randomness, fit for secrets."""

    def id(self) -> str:
        """A new unique id of 26 characters or so, safe in an address."""
        ...

    def token(self) -> str:
        """256 bits, safe in an address."""
        ...

    def bytes(self, count: int) -> bytes: ...


class Keys(Protocol):
    """Keys derived from the vault's root, one per purpose."""

    def derived(self, purpose: str) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The settings that decisions depend on; `code_window` is in time steps either side."""

    issuer: str
    code_window: int = 1
    pass_life: timedelta = timedelta(hours=12)
    ticket_approvals: int = 1
    staff_workspace: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Everything a command is handled with."""

    store: Store
    vault: Vault
    credentials: Credentials
    passes: Passes
    chance: Chance
    keys: Keys
    rules: Rules
