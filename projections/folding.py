"""Read models that fold: the state is made by the very `evolve` that commands decide on."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from psycopg import Cursor
from psycopg.sql import SQL, Identifier
from pydantic import TypeAdapter

from domain.facts import Aggregate, Event
from projections.journal import Entry

A = TypeVar("A", bound=Aggregate)


@dataclass(frozen=True, slots=True)
class Folded(Generic[A]):
    """A row's state before and after a batch, and the position of its newest event."""

    before: A
    after: A
    position: int


@dataclass(frozen=True, slots=True)
class Folding(Generic[A]):
    """How one kind of stream is folded into a table with columns `id`, `position`, `state`.

    `advance` is `evolve` without a copy, where there is one: for states that were made right here.
    """

    kind: str
    table: str
    blank: Callable[[str], A]
    evolve: Callable[[A, Event], A]
    adapter: TypeAdapter[A]
    advance: Callable[[A, Event], A] | None = None

    def fold(self, cursor: Cursor[Any], entries: Iterable[Entry]) -> list[Folded[A]]:
        """Fold the entries of this kind into their rows' states, in the order of versions.

        An event that a row has is dropped; one that comes after a gap is left out, so that the
        row stays behind its stream and the stream itself is asked, until the gap is mended.
        """
        mine: dict[str, list[Entry]] = {}
        for entry in entries:
            kind, _, id_ = entry.stream.partition("/")
            if kind == self.kind:
                mine.setdefault(id_, []).append(entry)
        if not mine:
            return []
        states = self.load(cursor, sorted(mine))
        folded = (self._one(id_, states, mine[id_]) for id_ in sorted(mine))
        return [one for one in folded if one.before.version != one.after.version]

    def load(self, cursor: Cursor[Any], ids: Sequence[str]) -> dict[str, A]:
        """The states of the rows that are there."""
        query = SQL("SELECT id, state::text FROM {} WHERE id = ANY(%s) FOR UPDATE")
        cursor.execute(query.format(Identifier(self.table)), (list(ids),))
        return {id_: self.read(state) for id_, state in cursor}

    def read(self, state: str) -> A:
        """The state out of its JSON."""
        return self.adapter.validate_json(state)

    def write(self, state: A) -> str:
        """The state as JSON."""
        return self.adapter.serializer.to_json(state).decode()

    def _one(self, id_: str, states: Mapping[str, A], entries: list[Entry]) -> Folded[A]:
        before = after = states.get(id_) or self.blank(id_)
        position = 0
        for entry in sorted(entries, key=lambda e: e.position):
            if entry.event.version == after.version + 1:
                after = self.evolve(after, entry.event)
                position = entry.position
        return Folded(before, after, position)
