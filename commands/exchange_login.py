"""Swap the one-time code that the hosted page sent along for the login's pass."""

from dataclasses import dataclass
from datetime import datetime

from commands.grants import Granted, sign_pass
from commands.ports import Context, Desk
from domain.entry import opens
from domain.member_mfa import MemberMFA
from domain.refusals import CodeRejected
from domain.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ExchangeLogin:
    """The code is a credential of kind exchange about the login; it works once."""

    code: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LoginExchanged(Granted):
    """Who was let in, and where."""

    login_id: str
    member_id: str
    workspace_id: str


def handle(command: ExchangeLogin, context: Context, desk: Desk) -> LoginExchanged:
    """Raises CodeRejected for a wrong, used or expired code, or where the grant ended meanwhile,
    or more is due by now.

    Claims of the code: workspace_id, member_id, amr, epoch and auth_time of the grant.
    """
    spent = desk.credentials.spend("exchange", command.code)
    if spent is None:
        raise CodeRejected("The code was not accepted.")
    claims = spent.claims
    member, workspace = desk.store.load_pair(
        (MemberMFA, claims["member_id"]), (Workspace, claims["workspace_id"])
    )
    amr = tuple(claims["amr"])
    if member.epoch != claims["epoch"] or not opens(member, workspace, amr, context.at):
        raise CodeRejected("The code was not accepted.")
    proven_at = datetime.fromisoformat(claims["auth_time"])
    token, expires_in = sign_pass(desk, context, member, workspace.id, amr, proven_at)
    return LoginExchanged(
        position=desk.store.head(),
        token=token,
        expires_in=expires_in,
        login_id=spent.subject,
        member_id=member.id,
        workspace_id=workspace.id,
    )
