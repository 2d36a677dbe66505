"""Secrets and personal data, sealed under a key per owner that the master key wraps."""

import hashlib
import hmac
import os
from typing import Any, Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from psycopg import Connection

from domain.addresses import normal_address
from domain.refusals import Unavailable, Unreadable
from twinlock.adapters.database import Database, Row, Statement
from twinlock.adapters.keyring import KEY_BYTES, Keyring, item_label, seal, unseal

ADDRESS_TAKEN: Final = "vault_addresses_address_index_key"
"""The constraint that an address of another member breaks."""
SYSTEM: Final = "system"
ROOT: Final = "root"
BATCH: Final = 500

SCHEMA: Final = """
create table if not exists vault_keys (
    owner text primary key,
    key_id text not null,
    wrapped bytea not null
);
create index if not exists vault_keys_key_id on vault_keys (key_id);
create table if not exists vault_items (
    owner text not null references vault_keys on delete cascade,
    item text not null,
    sealed bytea not null,
    primary key (owner, item)
);
create table if not exists vault_addresses (
    member_id text primary key,
    address_index bytea not null,
    constraint vault_addresses_address_index_key unique (address_index)
);
"""

OPEN: Final = """
    select k.key_id, k.wrapped, i.sealed from vault_items i join vault_keys k using (owner)
    where i.owner = %s and i.item = %s
"""
OPEN_UNDER: Final = """
    select k.key_id, k.wrapped, i.sealed, i.item
    from vault_items i join vault_keys k using (owner)
    where i.owner = %s and starts_with(i.item, %s)
"""
HOLDS: Final = "select 1 from vault_items where owner = %s and starts_with(item, %s)"
KEY: Final = "select key_id, wrapped from vault_keys where owner = %s"
NEW_KEY: Final = """
    insert into vault_keys (owner, key_id, wrapped) values (%s, %s, %s) on conflict do nothing
"""
SEAL: Final = """
    insert into vault_items (owner, item, sealed) values (%s, %s, %s)
    on conflict (owner, item) do update set sealed = excluded.sealed
"""
SEAL_ONCE: Final = """
    insert into vault_items (owner, item, sealed) values (%s, %s, %s) on conflict do nothing
"""
DISCARD: Final = "delete from vault_items where owner = %s and item = %s"
DISCARD_UNDER: Final = "delete from vault_items where owner = %s and starts_with(item, %s)"
DESTROY: Final = """
    with address as (delete from vault_addresses where member_id = %s)
    delete from vault_keys where owner = %s
"""
CLAIM: Final = """
    insert into vault_addresses (member_id, address_index) values (%s, %s)
    on conflict (member_id) do update set address_index = excluded.address_index
"""
KEYS: Final = """
    select owner, key_id, wrapped from vault_keys where owner > %s order by owner limit %s
"""
REWRAP: Final = """
    update vault_keys set key_id = %s, wrapped = %s
    where owner = %s and key_id = %s and wrapped = %s
"""


class SealedVault:
    """Implements `commands.ports.Vault`; keeps no data key beyond a call, so erasure is at once."""

    schema = (SCHEMA,)

    def __init__(self, database: Database, keyring: Keyring) -> None:
        """Connect nothing yet."""
        self._database = database
        self._keyring = keyring
        self.keys = DerivedKeys(self)

    def prepare(self, connection: Connection[Any]) -> None:
        """Make the root of the derived keys, once, while the schema is made."""
        self.put(connection, SYSTEM, ROOT, os.urandom(KEY_BYTES), replace=False)

    def seal(self, owner: str, item: str, plain: bytes) -> Statement:
        """A write of the sealed item; the owner's key is made before, where there is none."""
        return Statement(SEAL, (owner, item, self._sealed(owner, item, plain)))

    def put(
        self,
        connection: Connection[Any],
        owner: str,
        item: str,
        plain: bytes,
        *,
        replace: bool = True,
    ) -> None:
        """Seal within the caller's transaction; `replace=False` leaves what is there."""
        connection.execute(NEW_KEY, (owner, *self._new_key(owner)))
        row = connection.execute(KEY, (owner,)).fetchone()
        assert row is not None
        data_key = self._keyring.unwrap(row[0], row[1], owner.encode())
        sealed = seal(data_key, plain, item_label(owner, item))
        connection.execute(SEAL if replace else SEAL_ONCE, (owner, item, sealed))

    @staticmethod
    def holds(connection: Connection[Any], owner: str, under: str) -> bool:
        """Whether the owner has an item whose name begins with `under`."""
        return connection.execute(HOLDS, (owner, under)).fetchone() is not None

    def open(self, owner: str, item: str) -> bytes:
        """The plain bytes; raises Unavailable where they are missing or don't open."""
        plain = self.peek(owner, item)
        if plain is None:
            raise Unavailable("A sealed value is missing.", retry_after=60)
        return plain

    def peek(self, owner: str, item: str) -> bytes | None:
        """The plain bytes; None where there is no such item, Unreadable where it doesn't open."""
        row = self._database.fetch_one(OPEN, (owner, item))
        return None if row is None else self.opened(owner, item, row)

    def opened(self, owner: str, item: str, row: Row) -> bytes:
        """The plain bytes of a row that begins as OPEN's do; raises Unreadable."""
        data_key = self._keyring.unwrap(row[0], row[1], owner.encode())
        return unseal(data_key, row[2], item_label(owner, item))

    def items(self, owner: str, under: str) -> dict[str, bytes]:
        """All items whose names begin with `under`, opened."""
        rows = self._database.fetch(OPEN_UNDER, (owner, under))
        return {row[3]: self.opened(owner, row[3], row) for row in rows}

    def discard(self, owner: str, item: str) -> Statement:
        """A write that drops the item, or all items under a name that ends in /."""
        return Statement(DISCARD_UNDER if item.endswith("/") else DISCARD, (owner, item))

    def destroy(self, owner: str) -> Statement:
        """A write that destroys key, items and address for ever."""
        return Statement(DESTROY, (owner.removeprefix("member/"), owner))

    def claim_address(self, member_id: str, email: str) -> Statement:
        """A write that ties the address to the member."""
        return Statement(CLAIM, (member_id, self._address_index(email)))

    def member_at(self, email: str) -> str | None:
        """The member whom the address belongs to."""
        row = self._database.fetch_one(
            "select member_id from vault_addresses where address_index = %s",
            (self._address_index(email),),
        )
        return None if row is None else str(row[0])

    def rotate(self) -> tuple[int, list[str]]:
        """Wrap every data key anew under the current master key, while serving.

        Answers how many, and the owners whose keys do not open. Broken off, it may be run again.
        """
        self._keyring.reload()
        done, after, failed = 0, "", list[str]()
        while rows := self._database.fetch(KEYS, (after, BATCH)):
            for owner, key_id, wrapped in rows:
                if key_id == self._keyring.current:
                    continue
                try:
                    data_key = self._keyring.unwrap(key_id, wrapped, owner.encode())
                except Unreadable:
                    failed.append(owner)
                    continue
                new_id, again = self._keyring.wrap(data_key, owner.encode())
                done += self._database.execute(REWRAP, (new_id, again, owner, key_id, wrapped))
            after = rows[-1][0]
        return done, failed

    @staticmethod
    def key_ids(connection: Connection[Any]) -> dict[str, int]:
        """How many owners' keys each master key wraps; many take a connection without a limit."""
        return dict(connection.execute("select key_id, count(*) from vault_keys group by key_id"))

    def _sealed(self, owner: str, item: str, plain: bytes) -> bytes:
        return seal(self._data_key(owner), plain, item_label(owner, item))

    def _data_key(self, owner: str) -> bytes:
        row = self._database.fetch_one(KEY, (owner,))
        if row is None:
            self._database.execute(NEW_KEY, (owner, *self._new_key(owner)))
            row = self._database.fetch_one(KEY, (owner,))
        if row is None:
            raise Unavailable("The owner was erased meanwhile.")
        return self._keyring.unwrap(row[0], row[1], owner.encode())

    def _new_key(self, owner: str) -> tuple[str, bytes]:
        return self._keyring.wrap(os.urandom(KEY_BYTES), owner.encode())

    def _address_index(self, email: str) -> bytes:
        """A keyed blind index: equal addresses are found, and nothing is read from it."""
        address = normal_address(email).encode()
        return hmac.new(self.keys.derived("address-index"), address, hashlib.sha256).digest()


class DerivedKeys:
    """Implements `commands.ports.Keys` by HKDF-SHA-256 (RFC 5869) from the vault's root."""

    def __init__(self, vault: SealedVault) -> None:
        """Read nothing yet."""
        self._vault = vault
        self._known: dict[str, bytes] = {}

    def derived(self, purpose: str) -> bytes:
        """The 256-bit key of a purpose; raises Unavailable where the root can't be read."""
        known = self._known.get(purpose)
        if known is None:
            root = self._vault.open(SYSTEM, ROOT)
            info = f"twinlock/{purpose}".encode()
            known = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(root)
            self._known[purpose] = known
        return known
