"""The composition root: the one place where settings become objects."""

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import psycopg

import projections
import workers
from commands.ports import Context, Desk, Rules
from domain.facts import Actor
from twinlock.adapters import database as postgres
from twinlock.adapters.chance import SystemChance
from twinlock.adapters.credentials import HashedCredentials
from twinlock.adapters.database import Database
from twinlock.adapters.idempotency import Idempotency
from twinlock.adapters.keyring import Keyring
from twinlock.adapters.limits import Limits
from twinlock.adapters.passes import SignedPasses
from twinlock.adapters.passwords import DemoPasswords
from twinlock.adapters.sessions import StoredSessions
from twinlock.adapters.signing import NotarySigner, origin_of
from twinlock.adapters.store import EventStore
from twinlock.adapters.vault import ROOT, SYSTEM, DerivedKeys, SealedVault
from twinlock.settings import Settings


@dataclass(frozen=True, slots=True)
class Twinlock:
    """Everything a process works with; build one after the fork, and close it at the end."""

    settings: Settings
    database: Database
    reads: Database
    store: EventStore
    vault: SealedVault
    keys: DerivedKeys
    credentials: HashedCredentials
    passes: SignedPasses
    notary: NotarySigner
    idempotency: Idempotency
    limits: Limits
    sessions: StoredSessions
    passwords: DemoPasswords
    desk: Desk

    def connect(self) -> psycopg.Connection[Any]:
        """A connection of one's own in autocommit mode, without a limit on statements."""
        arguments = postgres.connect_arguments(self.database.uri, statement_seconds=0)
        return psycopg.connect(**arguments, autocommit=True)

    def context(self, actor: Actor, request_id: str) -> Context:
        """A context for a command that comes from the command line."""
        return Context(at=datetime.now(UTC), actor=actor, request_id=request_id)

    def migrate(self) -> None:
        """Make schema, root and first signing key, once; raises Unfit or psycopg.Error."""

        def prepare(connection: psycopg.Connection[Any]) -> None:
            self.vault.prepare(connection)
            self.passes.prepare(connection)
            self.notary.prepare(connection)

        postgres.migrate(self.database.uri, self.schema(), then=prepare)

    def schema(self) -> list[str]:
        """All idempotent DDL: the adapters' own, and what read models and workers declare."""
        parts = (
            self.store,
            self.vault,
            self.credentials,
            self.idempotency,
            self.limits,
            self.sessions,
            self.passwords,
        )
        own = [ddl for part in parts for ddl in part.schema]
        return own + [module.SCHEMA for module in _declaring(projections, workers)]

    def check_database(self) -> None:
        """Refuse a database that is unfit, away or not migrated; raises Unfit or Unavailable."""
        with self.database.connection() as connection:
            postgres.refuse_forgetful(connection)
            postgres.refuse_other_letters(connection)
            postgres.refuse_unmade(connection)

    def check_writes(self) -> None:
        """Refuse a standby, too: exports and replays may read there, and nothing else works."""
        self.check_database()
        with self.database.connection() as connection:
            postgres.refuse_standby(connection)

    def check_keys(self) -> None:
        """Refuse other master keys than those of the vault; raises Unavailable."""
        self.vault.open(SYSTEM, ROOT)

    def close(self) -> None:
        """Stop the threads and close the connections."""
        self.store.close()
        self.database.close()
        self.reads.close()


def build(settings: Settings) -> Twinlock:
    """Build everything; connects to nothing yet."""
    uri = settings.database.get_secret_value()
    database = Database(uri, size=settings.threads + 4, options=postgres.BY_INDEX)
    reads = Database(uri, size=settings.threads + 2, options="-c jit=off")
    store = EventStore(database)
    vault = SealedVault(database, keyring(settings))
    credentials = HashedCredentials(database)
    passes = SignedPasses(database, vault, issuer=settings.public_url, life=settings.pass_life)
    return Twinlock(
        settings=settings,
        database=database,
        reads=reads,
        store=store,
        vault=vault,
        keys=vault.keys,
        credentials=credentials,
        passes=passes,
        notary=NotarySigner(database, vault, origin=origin_of(settings.public_url)),
        idempotency=Idempotency(database, vault.keys.derived),
        limits=Limits(database),
        sessions=StoredSessions(database),
        passwords=DemoPasswords(database),
        desk=Desk(
            store=store,
            vault=vault,
            credentials=credentials,
            passes=passes,
            chance=SystemChance(),
            keys=vault.keys,
            rules=rules(settings),
        ),
    )


def keyring(settings: Settings) -> Keyring:
    """The master keys that the settings name."""
    text = settings.master_key.get_secret_value() if settings.master_key else ""
    return Keyring(text, file=settings.master_key_file)


def rules(settings: Settings) -> Rules:
    """The settings that decisions depend on."""
    return Rules(
        issuer=settings.issuer,
        code_window=settings.code_window,
        pass_life=settings.pass_life,
        ticket_approvals=settings.ticket_approvals,
        staff_workspace=settings.staff_workspace,
    )


def _declaring(*packages: ModuleType) -> Iterator[ModuleType]:
    """The modules that declare a schema; each new read model is found by being there."""
    for package in packages:
        for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda each: each.name):
            module = importlib.import_module(f"{package.__name__}.{info.name}")
            if hasattr(module, "SCHEMA"):
                yield module
