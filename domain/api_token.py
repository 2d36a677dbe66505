"""API tokens as facts: who may call with which role, from when until when."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar

from domain.facts import Event, Fact, fact
from domain.refusals import IllegalTransition, Malformed, NotFound
from domain.times import EPOCH

ROLES = ("host", "owner", "support", "auditor", "analyst")


@fact("token.created")
class TokenCreated(Fact):
    """An operator made an API token."""

    role: str
    workspace_id: str | None
    member_id: str | None


@fact("token.revoked")
class TokenRevoked(Fact):
    """An operator ended an API token."""


@dataclass(frozen=True, slots=True)
class ApiToken:
    """What the token's stream says; the token itself is nowhere."""

    kind: ClassVar[str] = "token"
    snapshot_version: ClassVar[int] = 1

    id: str
    version: int = 0
    updated_at: datetime = EPOCH
    created: bool = False
    revoked: bool = False


def create(role: str, workspace_id: str | None, member_id: str | None) -> TokenCreated:
    """A token of a role; owner needs a workspace and a member, support a member."""
    if role not in ROLES:
        raise Malformed(f"role must be one of {', '.join(ROLES)}.")
    if role == "owner" and not (workspace_id and member_id):
        raise Malformed("An owner token needs --workspace and --member.")
    if role == "support" and not member_id:
        raise Malformed("A support token needs --member: the agent it belongs to.")
    return TokenCreated(role=role, workspace_id=workspace_id, member_id=member_id)


def revoke(token: ApiToken) -> TokenRevoked:
    """End a token."""
    if not token.created:
        raise NotFound("No such token.")
    if token.revoked:
        raise IllegalTransition("The token is revoked already.")
    return TokenRevoked()


def evolve(token: ApiToken, event: Event) -> ApiToken:
    """The token after `event`."""
    after = replace(token, version=event.version, updated_at=event.at)
    match event.fact:
        case TokenCreated():
            return replace(after, created=True)
        case TokenRevoked():
            return replace(after, revoked=True)
    return after
