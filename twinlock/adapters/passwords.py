"""The demonstration realm's passwords: argon2id hashes in a table of their own."""

from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError

from twinlock.adapters.database import Database

SCHEMA: Final = """
create table if not exists demo_accounts (
    member_id text primary key,
    email text not null unique,
    workspace_id text not null,
    password_hash text not null
);
"""
PUT: Final = """
    insert into demo_accounts (member_id, email, workspace_id, password_hash)
    values (%s, %s, %s, %s)
    on conflict (member_id) do update set email = excluded.email,
        workspace_id = excluded.workspace_id, password_hash = excluded.password_hash
"""
FIND: Final = """
    select workspace_id, member_id, password_hash from demo_accounts
    where member_id = %s or email = %s
"""
DECOY: Final = (
    "$argon2id$v=19$m=19456,t=2,p=1$84hD6WTEM5SRBpcQz/9S8g$"
    "c57Ki+2EWNJpcoaODk6LzYtXN+JRSfjX37YhXrW4S84"
)
"""Verified for strangers, so that they take as long as members."""


class DemoPasswords:
    """Implements `api.backend.Passwords`."""

    schema = (SCHEMA,)

    def __init__(self, database: Database) -> None:
        """Connect nothing yet; the cost is OWASP's least for argon2id."""
        self._database = database
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)

    def put(self, *, member_id: str, email: str, workspace_id: str, password: str) -> None:
        """Make an account, or give it this password."""
        hashed = self._hasher.hash(password)
        self._database.execute(PUT, (member_id, email, workspace_id, hashed))

    def check(self, name: str, password: str) -> tuple[str, str] | None:
        """Workspace and member of the account with that id or address; None if not right."""
        name = name.strip().casefold()
        row = self._database.fetch_one(FIND, (name, name))
        try:
            self._hasher.verify(row[2] if row else DECOY, password)
        except VerificationError:
            return None
        return (row[0], row[1]) if row else None
