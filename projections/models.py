"""The read models there are, each under a key of name and version."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Cursor

from projections import audit_trail, standing, tickets
from projections.journal import Entry

Apply = Callable[[Cursor[Any], Sequence[Entry]], None]


@dataclass(frozen=True, slots=True)
class Model:
    """A read model: applying an entry twice changes nothing."""

    key: str
    schema: str
    tables: tuple[str, ...]
    apply: Apply


MODELS = tuple(Model(m.KEY, m.SCHEMA, m.TABLES, m.apply) for m in (standing, tickets, audit_trail))
