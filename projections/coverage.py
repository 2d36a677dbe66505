"""Questions about a whole workspace: who has a second factor, and whom a policy would stop."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from psycopg import Connection
from psycopg.sql import SQL, Composed

from projections.progress import Connections
from projections.standing import MEMBERS

BATCH = 500
Chip = Literal["bound", "in_grace", "overdue", "locked"]
CHIPS = {
    "bound": SQL("m.bound"),
    "in_grace": SQL("NOT m.bound AND w.mode = 'enforced' AND %(at)s < w.grace_until"),
    "overdue": SQL(
        "NOT m.bound AND w.mode = 'enforced' AND coalesce(w.grace_until <= %(at)s, true)"
    ),
    "locked": SQL("greatest(m.lock_until, m.cap_until) > %(at)s"),
}
JOINED = SQL(
    "FROM standing_memberships_v1 AS s"
    " JOIN standing_members_v1 AS m ON m.id = s.member_id"
    " JOIN standing_workspaces_v1 AS w ON w.id = s.workspace_id"
    " WHERE s.workspace_id = %(workspace)s"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many members a workspace has, and how many of them are in each state."""

    members: int
    bound: int
    in_grace: int
    overdue: int
    locked: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A member of a workspace; `status` is not_bound, enrolling or bound."""

    member_id: str
    role: str
    status: str
    enrolment_due_at: datetime | None
    locked_until: datetime | None

    @property
    def bound(self) -> bool:
        """Whether an authenticator is bound."""
        return self.status == "bound"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """How many members there are, how many would be stopped, and a page of those."""

    members: int
    stopped: int
    items: list[Item]


def counts(connection: Connection[Any], workspace_id: str, at: datetime) -> Counts:
    """Count the members by state at `at`."""
    chips = SQL(", ").join(SQL("count(*) FILTER (WHERE {})").format(c) for c in CHIPS.values())
    query = SQL("SELECT count(*), {} {}").format(chips, JOINED)
    row = connection.execute(query, {"workspace": workspace_id, "at": at}).fetchone()
    assert row is not None
    return Counts(members=row[0], **dict(zip(CHIPS, row[1:], strict=True)))


def items(
    connection: Connection[Any],
    workspace_id: str,
    at: datetime,
    *,
    chip: Chip | None = None,
    after: str = "",
    limit: int = 50,
) -> list[Item]:
    """A page of members in the order of ids, those after `after`; fewer than `limit` is the end."""
    where = SQL(" AND {}").format(CHIPS[chip]) if chip else SQL("")
    return _page(connection, where, workspace_id, at, after, limit)


def every_item(
    pool: Connections, workspace_id: str, at: datetime, *, chip: Chip | None = None
) -> Iterator[Item]:
    """Every member, in the same order; in batches, so that a slow reader holds no connection."""
    after: str | None = ""
    while after is not None:
        with pool.connection() as connection:
            batch = items(connection, workspace_id, at, chip=chip, after=after, limit=BATCH)
        yield from batch
        after = batch[-1].member_id if len(batch) == BATCH else None


def preview(
    connection: Connection[Any],
    workspace_id: str,
    at: datetime,
    *,
    after: str = "",
    limit: int = 50,
) -> Preview:
    """Whom enforcement without grace would stop: the members who have no authenticator."""
    counted = counts(connection, workspace_id, at)
    page = _page(connection, SQL(" AND NOT m.bound"), workspace_id, at, after, limit)
    return Preview(members=counted.members, stopped=counted.members - counted.bound, items=page)


def _page(
    connection: Connection[Any],
    where: SQL | Composed,
    workspace_id: str,
    at: datetime,
    after: str,
    limit: int,
) -> list[Item]:
    query = SQL(
        "SELECT s.member_id, s.role, m.state::text,"
        " CASE WHEN {} THEN w.grace_until END {} {}"
        " AND s.member_id > %(after)s ORDER BY s.member_id LIMIT %(limit)s"
    ).format(CHIPS["in_grace"], JOINED, where)
    rows = connection.execute(
        query, {"workspace": workspace_id, "at": at, "after": after, "limit": limit}
    )
    return [_item(at, *row) for row in rows]


def _item(at: datetime, member_id: str, role: str, state: str, due_at: datetime | None) -> Item:
    member = MEMBERS.read(state)
    return Item(
        member_id=member_id,
        role=role,
        status=member.status(at),
        enrolment_due_at=due_at,
        locked_until=member.locked_until(at),
    )
