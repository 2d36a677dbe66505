"""Reading: waiting for a position, paging, and asking the streams where a read model is behind."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from api.backend import Backend
from api.cursors import Cursors, forged
from api.shapes import PageQuery
from api.visits import Visit
from domain.member_mfa import MemberMFA
from domain.refusals import NotYetVisible
from domain.workspace import Workspace
from projections import progress, standing

PATIENCE = 2.0
PAUSE = 0.005
STORE = "store"
"""In place of a read model: what the streams themselves answer."""

T = TypeVar("T")


def wait(visit: Visit, model: str, at_least: int) -> None:
    """Wait until the position is visible, two seconds at most; raises NotYetVisible."""
    if at_least <= 0:
        return
    if model != STORE:
        progress.wait_visible(visit.backend.reads, model, at_least, PATIENCE)
        return
    deadline = time.monotonic() + PATIENCE
    while visit.desk.store.head() < at_least:
        if time.monotonic() >= deadline:
            raise NotYetVisible("Not applied yet: ask again.", retry_after=1)
        time.sleep(PAUSE)


def member_now(backend: Backend, member: MemberMFA) -> MemberMFA:
    """The member as the read model has it, or, where that is behind, as its stream says.

    `member` is what the guard has loaded from the stream.
    """
    with backend.reads.connection() as connection:
        seen = standing.member(connection, member.id)
    return seen if seen is not None and seen.version >= member.version else member


def policy_now(backend: Backend, workspace: Workspace) -> Workspace:
    """The workspace's policy, likewise."""
    with backend.reads.connection() as connection:
        seen = standing.policy(connection, workspace.id)
    return seen if seen is not None and seen.version >= workspace.version else workspace


@dataclass(frozen=True, slots=True)
class Paging:
    """One list as it was asked for: a cursor of another list, or other filters, is refused."""

    cursors: Cursors
    query: tuple[object, ...]
    cursor: str | None
    limit: int

    def after_text(self) -> str:
        """The text behind which the page begins."""
        after = self.cursors.read(self.cursor, self.query) if self.cursor else ""
        if not isinstance(after, str):
            raise forged()
        return after

    def after_number(self) -> int:
        """The number behind which the page begins."""
        after = self.cursors.read(self.cursor, self.query) if self.cursor else 0
        if not isinstance(after, int):
            raise forged()
        return after

    @property
    def wanted(self) -> int:
        """One more than is shown says whether there is more."""
        return self.limit + 1

    def cut(self, found: Sequence[T], place: Any) -> tuple[Sequence[T], str | None]:
        """The page, and the cursor of the next one; `place` tells where an item stands."""
        if len(found) <= self.limit:
            return found, None
        page = found[: self.limit]
        return page, self.cursors.write(place(page[-1]), self.query)


def paging(backend: Backend, query: PageQuery, *bound_to: object) -> Paging:
    """The page asked for, its cursor bound to the list's name, scope and filters."""
    filters = query.model_dump(exclude={"cursor", "limit", "at_least"})
    bound = (*bound_to, *((name, str(filters[name])) for name in sorted(filters)))
    cursors = Cursors(backend.desk.keys.derived("cursors"))
    return Paging(cursors, bound, query.cursor, query.limit)
