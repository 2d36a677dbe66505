"""A pending login as its streams see it now, and what its token may call in that state."""

from dataclasses import dataclass
from datetime import datetime

from commands.ports import Context, Credential, Desk
from domain.entry import What, login_state, may_call
from domain.member_mfa import MemberMFA
from domain.refusals import Forbidden, Unauthenticated
from domain.workspace import Workspace


@dataclass(frozen=True, slots=True)
class LiveLogin:
    """The login's member and workspace, and its state computed anew."""

    id: str
    expires_at: datetime | None
    member: MemberMFA
    workspace: Workspace
    state: What
    first_factor_changed_at: datetime | None


def live_login(desk: Desk, context: Context, login: Credential) -> LiveLogin:
    """Raises Unauthenticated where the member left, or sessions were revoked since."""
    claims = login.claims
    member, workspace = desk.store.load_pair(
        (MemberMFA, claims["member_id"]), (Workspace, claims["workspace_id"])
    )
    if member.revocations != claims["revocations"] or workspace.id not in member.roles:
        raise Unauthenticated("The login ended.")
    changed_at = claims["first_factor_changed_at"]
    return LiveLogin(
        id=login.subject,
        expires_at=login.expires_at,
        member=member,
        workspace=workspace,
        state=login_state(member, workspace, login.subject, context.at),
        first_factor_changed_at=datetime.fromisoformat(changed_at) if changed_at else None,
    )


def require_session(member: MemberMFA, context: Context) -> None:
    """Raises Unauthenticated where a caller in person was signed out since it was let in."""
    if context.revocations is not None and member.revocations != context.revocations:
        raise Unauthenticated("The session ended.")


def require_call(login: LiveLogin, call: str) -> None:
    """Raises Forbidden where the login's state does not open `call`."""
    if not may_call(login.state, call, bound=login.member.bound):
        raise Forbidden("The login is not in a state that allows this.")
