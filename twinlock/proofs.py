"""Proofs for the API, out of the notary's tiles and checkpoints."""

import base64
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from psycopg import Connection

from api.backend import Head, Proof
from domain.merkle import Span, consistency, hashes_of, inclusion
from domain.notes import BadNote, Checkpoint
from domain.refusals import Unavailable
from twinlock.adapters.database import Database
from twinlock.adapters.signing import NotarySigner
from workers import checkpoints, tiles

T = TypeVar("T")


class TreeProofs:
    """Implements `api.backend.Proofs`; each call reads a few tiles."""

    def __init__(self, database: Database, signer: NotarySigner) -> None:
        """Read nothing yet."""
        self._database = database
        self._signer = signer

    def verifiers(self) -> Sequence[str]:
        """What verifies, the newest first."""
        return [str(key) for key in self._signer.keys]

    def checkpoint(self) -> str | None:
        """The newest note."""
        return self._read(checkpoints.newest)

    def head(self) -> Head | None:
        """The newest checkpoint in short."""
        note = self.checkpoint()
        if note is None:
            return None
        try:
            signed = Checkpoint.parse(note.rpartition("\n\n")[0] + "\n")
        except BadNote as bad:
            raise Unavailable("The checkpoint cannot be read.", retry_after=60) from bad
        return Head(signed.size, _encoded(signed.root))

    def number_at(self, position: int) -> int | None:
        """Where an event stands in the tree."""
        return self._read(lambda connection: tiles.number_at(connection, position))

    def inclusion(self, number: int, size: int) -> Proof:
        """From an event's hash."""
        return self._proof((number, number + 1), inclusion(number, size), size)

    def consistency(self, old: int, size: int) -> Proof:
        """From an older root."""
        return self._proof((0, old), consistency(old, size), size)

    def _proof(self, start: Span, path: Sequence[Span], size: int) -> Proof:
        """All hashes come out of one statement."""
        spans = [start, *path, (0, size)]
        hashes = self._read(lambda there: hashes_of(spans, partial(tiles.nodes, there)))
        first, *steps, root = map(_encoded, hashes)
        return Proof(first, steps, root)

    def _read(self, ask: Callable[[Connection[Any]], T]) -> T:
        try:
            with self._database.connection() as connection:
                return ask(connection)
        except tiles.MissingNodes as missing:
            raise Unavailable("The tree cannot be read.", retry_after=60) from missing


def _encoded(hashed: bytes) -> str:
    return base64.b64encode(hashed).decode()
