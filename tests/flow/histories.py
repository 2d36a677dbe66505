"""Histories for the tests of this folder: facts appended through the real store."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from commands.ports import Context
from domain.facts import Actor, Fact
from domain.member_facts import CodeAccepted, MemberAdded, MFABound, Registered
from domain.member_mfa import MemberMFA
from domain.workspace import PolicyEnforced, Workspace, WorkspaceCreated
from twinlock.composition import Twinlock

NOW = datetime(2026, 5, 1, 9, tzinfo=UTC)
HOST = Actor("host", "h1")


def context(minutes: int = 0, workspace_id: str | None = None) -> Context:
    """Somebody's request, some minutes after nine."""
    return Context(
        at=NOW + timedelta(minutes=minutes),
        actor=HOST,
        request_id=f"r{minutes}",
        workspace_id=workspace_id,
    )


def append(twinlock: Twinlock, kind: Any, id_: str, *facts: Fact, minutes: int = 0) -> int:
    """Append facts to a stream, whatever its rules say."""
    aggregate = twinlock.store.load(kind, id_)
    return twinlock.store.append(context(minutes), (aggregate, facts))


def joined(member_id: str, workspace_id: str = "w", role: str = "member") -> tuple[Fact, ...]:
    """A new member of a workspace."""
    added = MemberAdded(workspace_id=workspace_id, member_id=member_id, role=role)
    return (Registered(), added)


def bound(binding_id: str = "b1", step: int = 1) -> MFABound:
    """An authenticator."""
    return MFABound(binding_id=binding_id, step=step, workspace_id=None, login_id=None)


def accepted(step: int) -> CodeAccepted:
    """A right code."""
    return CodeAccepted(purpose="login", binding_id="b1", step=step, login_id=None)


def a_workspace(twinlock: Twinlock, members: Sequence[str], workspace_id: str = "w") -> int:
    """An enforcing workspace with members, of whom the first is an owner and bound."""
    append(twinlock, Workspace, workspace_id, WorkspaceCreated(), PolicyEnforced(grace_until=None))
    position = 0
    for number, member in enumerate(members):
        role = "member" if number else "owner"
        facts = (*joined(member, workspace_id, role), *(() if number else (bound(),)))
        position = append(twinlock, MemberMFA, member, *facts)
    return position
