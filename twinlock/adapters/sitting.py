"""What one request has read: each stream once, and a login with all it needs in one statement.

Nothing is kept from one request to the next. Decisions stay as safe as before: what was loaded is
appended to at the version that was loaded, and every append makes the sitting forget, so that a
command which lost a race loads and decides again.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, cast

from commands.ports import A, B, Change, Context, Credential, Desk, Write
from domain.member_mfa import MemberMFA
from domain.refusals import Unavailable
from domain.workspace import Workspace
from projections.journal import EVENTS
from twinlock.adapters.credentials import HashedCredentials, hashed
from twinlock.adapters.database import Database, Row
from twinlock.adapters.recorder import SNAPSHOTS
from twinlock.adapters.snapshots import Snapshots
from twinlock.adapters.store import EventStore
from twinlock.adapters.vault import SealedVault

LOGIN, MEMBER, WORKSPACE, SECRET = range(4)
"""What a row is about."""
OF_LOGIN: Final = f"""
with login as materialized (
    select subject, claims, expires_at,
        'member/' || (claims ->> 'member_id') as member,
        'workspace/' || (claims ->> 'workspace_id') as workspace
    from credentials where token_hash = %s and kind = 'login'
        and (expires_at is null or expires_at > clock_timestamp())
), places (part, name, topic) as materialized (
    select {MEMBER}, member, %s from login union all select {WORKSPACE}, workspace, %s from login
), snapshots as materialized (
    select part, name, s.* from places left join lateral (
        select originator_version as version, topic, state from {SNAPSHOTS}
        where originator_id = name and topic = places.topic
        order by originator_version desc limit 1) as s on true
)
select {LOGIN}, 0, 0, subject, convert_to(claims::text, 'UTF8'), null, null::bytea, expires_at
    from login
union all
select part, 0, version, topic, state, null, null, null from snapshots where version is not null
union all
select part, 1, e.originator_version, e.topic, e.state, null, null, null from snapshots
    join {EVENTS} as e on originator_id = name and originator_version > coalesce(version, 0)
union all
select {SECRET}, 0, 0, item, sealed, key_id, wrapped, null from login
    join vault_keys on vault_keys.owner = member
    join vault_items on vault_items.owner = member and starts_with(item, 'totp/')
order by 1, 2, 3
"""  # noqa: S608 - the names are constants
Key = tuple[Any, str]


class _Kept:
    """What was read so far."""

    def __init__(self) -> None:
        self.streams: dict[Key, Any] = {}
        self.sealed: dict[tuple[str, str], Row] = {}

    def forget(self) -> None:
        self.streams.clear()
        self.sealed.clear()


class Sittings:
    """Makes the desk of each request out of the adapters that it is built over."""

    def __init__(
        self,
        database: Database,
        store: EventStore,
        vault: SealedVault,
        credentials: HashedCredentials,
    ) -> None:
        """Read nothing yet."""
        self.database = database
        self.store = store
        self.vault = vault
        self.credentials = credentials

    def __call__(self, desk: Desk) -> Desk:
        """A fresh desk for one request and one thread; one with other parts is left as it is."""
        parts = (desk.store, desk.vault, desk.credentials)
        ours = parts == (self.store, self.vault, self.credentials)
        if not ours and not isinstance(desk.store, _Store):
            return desk
        kept = _Kept()
        return replace(
            desk,
            store=_Store(self.store, kept),
            vault=_Vault(self.vault, kept),
            credentials=_Credentials(self, kept),
        )


class _Store:
    """The event store, which reads no stream twice between two appends."""

    def __init__(self, store: EventStore, kept: _Kept) -> None:
        self._store, self._kept = store, kept

    def load(self, kind: type[A], stream_id: str, /) -> A:
        known = self._kept.streams
        if (kind, stream_id) not in known:
            known[kind, stream_id] = self._store.load(kind, stream_id)
        return cast(A, known[kind, stream_id])

    def load_pair(self, one: tuple[type[A], str], other: tuple[type[B], str]) -> tuple[A, B]:
        known = self._kept.streams
        if one not in known and other not in known:
            known[one], known[other] = self._store.load_pair(one, other)
        return self.load(*one), self.load(*other)

    def append(self, context: Context, *changes: Change, also: Iterable[Write] = ()) -> int:
        try:
            return self._store.append(context, *changes, also=also)
        finally:
            self._kept.forget()

    def head(self) -> int:
        """Whoever waits for a position means to see what came until then."""
        self._kept.forget()
        return self._store.head()


class _Vault:
    """The vault, which opens what a login's statement brought without asking again."""

    def __init__(self, vault: SealedVault, kept: _Kept) -> None:
        self._vault, self._kept = vault, kept

    def __getattr__(self, name: str) -> Any:
        return getattr(self._vault, name)

    def open(self, owner: str, item: str) -> bytes:
        """Where it is missing, what was loaded may be outdated, and is loaded anew."""
        if row := self._kept.sealed.get((owner, item)):
            return self._vault.opened(owner, item, row)
        try:
            return self._vault.open(owner, item)
        except Unavailable:
            self._kept.forget()
            raise


class _Credentials:
    """Bearer tokens; a login's token brings its streams and its authenticator's secret along."""

    def __init__(self, sittings: Sittings, kept: _Kept) -> None:
        self._sittings, self._kept = sittings, kept

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sittings.credentials, name)

    def find(self, kind: str, token: str) -> Credential | None:
        if kind != "login":
            return self._sittings.credentials.find(kind, token)
        topics = (Snapshots.topic(MemberMFA), Snapshots.topic(Workspace))
        rows = self._sittings.database.fetch(OF_LOGIN, (hashed(token), *topics))
        if not rows:
            return None
        login, told = rows[0], rows[1:]
        claims = json.loads(login[4])
        credential = Credential(kind=kind, subject=login[3], claims=claims, expires_at=login[7])
        self._keep(claims, told)
        return credential

    def _keep(self, claims: Mapping[str, str], rows: list[Row]) -> None:
        member_id, workspace_id = claims["member_id"], claims["workspace_id"]
        fold, streams = self._sittings.store.fold, self._kept.streams
        streams[MemberMFA, member_id] = fold(MemberMFA, member_id, _of(rows, MEMBER))
        streams[Workspace, workspace_id] = fold(Workspace, workspace_id, _of(rows, WORKSPACE))
        for _, _, _, item, sealed, key_id, wrapped, _ in (r for r in rows if r[0] == SECRET):
            self._kept.sealed[f"member/{member_id}", item] = (key_id, wrapped, sealed)


def _of(rows: Iterable[Row], part: int) -> list[Row]:
    """A stream's rows as the recorder answers them: kind, version, topic, state."""
    return [row[1:5] for row in rows if row[0] == part]
