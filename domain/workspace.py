"""The workspace and its policy: whether members must have a second factor, and from when."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar

from domain.facts import Actor, Event, Fact, fact
from domain.refusals import Malformed
from domain.times import EPOCH

OFF, ENFORCED = "off", "enforced"


@fact("workspace.created")
class WorkspaceCreated(Fact):
    """The host made the workspace known."""


@fact("workspace.renamed")
class WorkspaceRenamed(Fact):
    """The workspace's name or its return addresses changed."""


@fact("workspace.policy_enforced")
class PolicyEnforced(Fact):
    """Members must have a second factor, from `grace_until` where that is given."""

    grace_until: datetime | None


@fact("workspace.policy_lifted")
class PolicyLifted(Fact):
    """Members need no second factor."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """What the workspace's stream says."""

    kind: ClassVar[str] = "workspace"
    snapshot_version: ClassVar[int] = 1

    id: str
    version: int = 0
    updated_at: datetime = EPOCH
    created: bool = False
    mode: str = OFF
    grace_until: datetime | None = None
    changed_at: datetime | None = None
    changed_by: Actor | None = None

    def enforces(self, at: datetime) -> bool:
        """Whether the policy stops members without a second factor at `at`."""
        return self.mode == ENFORCED and not self.in_grace(at)

    def in_grace(self, at: datetime) -> bool:
        """Whether the policy is enforced but still lets members enter without a second factor."""
        return self.mode == ENFORCED and self.grace_until is not None and at < self.grace_until


def set_policy(
    workspace: Workspace, mode: str, grace_until: datetime | None, at: datetime
) -> tuple[Fact, ...]:
    """Enforce or lift; the same policy again is no fact."""
    if (mode, grace_until) == (workspace.mode, workspace.grace_until):
        return ()
    if grace_until and (mode == OFF or grace_until <= at):
        raise Malformed("grace_until must lie in the future, and goes with enforced only.")
    return (PolicyEnforced(grace_until=grace_until) if mode == ENFORCED else PolicyLifted(),)


def evolve(workspace: Workspace, event: Event) -> Workspace:
    """The workspace after `event`."""
    after = replace(workspace, version=event.version, updated_at=event.at)
    match event.fact:
        case WorkspaceCreated():
            return replace(after, created=True)
        case PolicyEnforced(grace_until=grace_until):
            return _changed(after, event, ENFORCED, grace_until)
        case PolicyLifted():
            return _changed(after, event, OFF, None)
    return after


def _changed(
    workspace: Workspace, event: Event, mode: str, grace_until: datetime | None
) -> Workspace:
    return replace(
        workspace,
        mode=mode,
        grace_until=grace_until,
        changed_at=event.at,
        changed_by=event.actor,
    )
