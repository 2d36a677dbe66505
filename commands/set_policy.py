"""Enforce or lift a workspace's policy, by the host or by an owner with a fresh code."""

from dataclasses import dataclass
from datetime import datetime

from commands.dispatch import record
from commands.grants import Done
from commands.live_login import require_session
from commands.ports import Change, Context, Desk
from commands.secrets import Proof, spend
from domain import second_factor
from domain.decision import Decision
from domain.facts import Actor
from domain.member_mfa import MemberMFA
from domain.refusals import Forbidden, Malformed, NotFound
from domain.workspace import Workspace, set_policy


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPolicy:
    """`owner_id` None means the host; an owner gives a code, also to lift the policy."""

    workspace_id: str
    mode: str
    grace_until: datetime | None = None
    owner_id: str | None = None
    proof: Proof | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySet(Done):
    """The policy now."""

    mode: str
    grace_until: datetime | None
    changed_at: datetime | None
    changed_by: Actor | None


def handle(command: SetPolicy, context: Context, desk: Desk) -> PolicySet:
    """The owner's code is spent in the same append as the change."""
    workspace = desk.store.load(Workspace, command.workspace_id)
    if not workspace.created:
        raise NotFound("No such workspace.")
    facts = set_policy(workspace, command.mode, command.grace_until, context.at)
    decision, changes = Decision(()), list[Change]()
    if command.owner_id is not None:
        decision, change = _owners_code(command, context, desk, command.owner_id)
        changes.append(change)
    if decision.granted:
        changes.append((workspace, facts))
    position = record(desk, context, decision, *changes)
    return PolicySet(
        position=position,
        mode=command.mode,
        grace_until=command.grace_until,
        changed_at=max(context.at, workspace.updated_at) if facts else workspace.changed_at,
        changed_by=context.actor if facts else workspace.changed_by,
    )


def _owners_code(
    command: SetPolicy, context: Context, desk: Desk, owner_id: str
) -> tuple[Decision, Change]:
    if command.proof is None or command.proof.code is None:
        raise Malformed("An owner gives a fresh code.")
    owner = desk.store.load(MemberMFA, owner_id)
    if owner.roles.get(command.workspace_id) != "owner":
        raise Forbidden("No longer an owner.")
    require_session(owner, context)
    decision = spend(desk, context, owner, command.proof, second_factor.POLICY)
    return decision, (owner, decision.facts)
