"""Where each member stands: bindings, locks, memberships and the policies that ask for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from psycopg import Connection, Cursor
from pydantic import TypeAdapter

from domain import member_mfa, workspace
from domain.lockout import cap_until
from domain.member_mfa import MemberMFA
from domain.workspace import Workspace
from projections.folding import Folded, Folding
from projections.journal import EVENTS, Entry

KEY = "standing-v1"
SCHEMA = """
CREATE TABLE IF NOT EXISTS standing_members_v1 (
    id text PRIMARY KEY,
    version bigint NOT NULL,
    position bigint NOT NULL,
    bound boolean NOT NULL,
    lock_until timestamptz,
    cap_until timestamptz,
    state jsonb NOT NULL
);
CREATE TABLE IF NOT EXISTS standing_workspaces_v1 (
    id text PRIMARY KEY,
    version bigint NOT NULL,
    position bigint NOT NULL,
    mode text NOT NULL,
    grace_until timestamptz,
    state jsonb NOT NULL
);
CREATE TABLE IF NOT EXISTS standing_memberships_v1 (
    workspace_id text NOT NULL,
    member_id text NOT NULL,
    role text NOT NULL,
    PRIMARY KEY (workspace_id, member_id)
);
CREATE INDEX IF NOT EXISTS standing_owners_v1
    ON standing_memberships_v1 (workspace_id, member_id) WHERE role = 'owner';
"""
TABLES = ("standing_members_v1", "standing_workspaces_v1", "standing_memberships_v1")
MEMBERS = Folding(
    "member",
    "standing_members_v1",
    member_mfa.blank,
    member_mfa.evolve,
    TypeAdapter(MemberMFA),
    member_mfa.advance,
)
WORKSPACES = Folding(
    "workspace", "standing_workspaces_v1", Workspace, workspace.evolve, TypeAdapter(Workspace)
)
PUT_MEMBERS = """
INSERT INTO standing_members_v1
    (id, version, position, bound, lock_until, cap_until, state)
SELECT * FROM unnest(
    %b::text[], %b::bigint[], %b::bigint[], %b::bool[], %b::timestamptz[], %b::timestamptz[],
    %b::text[]::jsonb[])
ON CONFLICT (id) DO UPDATE SET
    version = excluded.version, position = excluded.position, bound = excluded.bound,
    lock_until = excluded.lock_until, cap_until = excluded.cap_until, state = excluded.state
"""
PUT_WORKSPACES = """
INSERT INTO standing_workspaces_v1 (id, version, position, mode, grace_until, state)
SELECT * FROM unnest(
    %b::text[], %b::bigint[], %b::bigint[], %b::text[], %b::timestamptz[],
    %b::text[]::jsonb[])
ON CONFLICT (id) DO UPDATE SET
    version = excluded.version, position = excluded.position, mode = excluded.mode,
    grace_until = excluded.grace_until, state = excluded.state
"""
PUT_MEMBERSHIPS = """
INSERT INTO standing_memberships_v1 (workspace_id, member_id, role)
SELECT * FROM unnest(%b::text[], %b::text[], %b::text[])
ON CONFLICT (workspace_id, member_id) DO UPDATE SET role = excluded.role
"""
DROP_MEMBERSHIPS = """
DELETE FROM standing_memberships_v1 WHERE (workspace_id, member_id) IN (
    SELECT * FROM unnest(%b::text[], %b::text[]))
"""


def apply(cursor: Cursor[Any], entries: Sequence[Entry]) -> None:
    """Fold a batch into the rows; entries that the rows have change nothing."""
    _put_members(cursor, MEMBERS.fold(cursor, entries))
    _put_workspaces(cursor, WORKSPACES.fold(cursor, entries))


def _put_members(cursor: Cursor[Any], folded: Sequence[Folded[MemberMFA]]) -> None:
    if not folded:
        return
    rows = [member_row(f.after, f.position) for f in folded]
    cursor.execute(PUT_MEMBERS, columns(rows))
    left = [(w, f.after.id) for f in folded for w in f.before.roles if w not in f.after.roles]
    if left:
        cursor.execute(DROP_MEMBERSHIPS, columns(left))
    held = [
        (w, f.after.id, role)
        for f in folded
        for w, role in f.after.roles.items()
        if f.before.roles.get(w) != role
    ]
    if held:
        cursor.execute(PUT_MEMBERSHIPS, columns(held))


def _put_workspaces(cursor: Cursor[Any], folded: Sequence[Folded[Workspace]]) -> None:
    if not folded:
        return
    rows = [workspace_row(f.after, f.position) for f in folded]
    cursor.execute(PUT_WORKSPACES, columns(rows))


def member_row(after: MemberMFA, position: int) -> tuple[Any, ...]:
    """A member as its row holds it; `position` is its newest event's."""
    return (
        after.id,
        after.version,
        position,
        after.bound,
        after.lock,
        cap_until(after.failed_at),
        MEMBERS.write(after),
    )


def workspace_row(after: Workspace, position: int) -> tuple[Any, ...]:
    """A workspace, likewise."""
    return (
        after.id,
        after.version,
        position,
        after.mode,
        after.grace_until,
        WORKSPACES.write(after),
    )


def columns(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Turn rows into the columns that `unnest` takes."""
    return [list(column) for column in zip(*rows, strict=True)]


@dataclass(frozen=True, slots=True)
class Seen:
    """A member and a workspace as the read model has them; `behind` says to ask the streams.

    `position` is the newest event's that either of the two rests on.
    """

    member: MemberMFA
    workspace: Workspace
    position: int
    behind: bool


SEE = f"""
SELECT m.state::text, w.state::text, greatest(m.position, w.position, 0),
    coalesce(m.version, 0) < coalesce((SELECT max(originator_version) FROM {EVENTS}
        WHERE originator_id = 'member/' || %(member)s), 0)
    OR coalesce(w.version, 0) < coalesce((SELECT max(originator_version) FROM {EVENTS}
        WHERE originator_id = 'workspace/' || %(workspace)s), 0)
FROM (SELECT) AS always
LEFT JOIN standing_members_v1 AS m ON m.id = %(member)s
LEFT JOIN standing_workspaces_v1 AS w ON w.id = %(workspace)s
"""  # noqa: S608 - a constant


def see(connection: Connection[Any], workspace_id: str, member_id: str) -> Seen:
    """What the login check asks, and, in the same statement, whether the rows are current.

    A stranger has no role in the workspace; domain.entry.due decides on what is seen.
    """
    row = connection.execute(SEE, {"member": member_id, "workspace": workspace_id}).fetchone()
    assert row is not None
    member, place, position, behind = row
    return Seen(
        MEMBERS.read(member) if member else MemberMFA(member_id),
        _place(place) if place else Workspace(workspace_id),
        position,
        behind,
    )


@lru_cache(256)
def _place(state: str) -> Workspace:
    """Read once: the members of a workspace ask with the same."""
    return WORKSPACES.read(state)


def member(connection: Connection[Any], member_id: str) -> MemberMFA | None:
    """One member's account, or None for a stranger."""
    row = connection.execute(
        "SELECT state::text FROM standing_members_v1 WHERE id = %s", (member_id,)
    ).fetchone()
    return MEMBERS.read(row[0]) if row else None


def policy(connection: Connection[Any], workspace_id: str) -> Workspace | None:
    """One workspace and its policy, or None where it is unknown."""
    row = connection.execute(
        "SELECT state::text FROM standing_workspaces_v1 WHERE id = %s", (workspace_id,)
    ).fetchone()
    return WORKSPACES.read(row[0]) if row else None


def owners(connection: Connection[Any], workspace_id: str) -> list[str]:
    """The ids of a workspace's owners."""
    rows = connection.execute(
        "SELECT member_id FROM standing_memberships_v1"
        " WHERE workspace_id = %s AND role = 'owner' ORDER BY member_id",
        (workspace_id,),
    )
    return [row[0] for row in rows]
