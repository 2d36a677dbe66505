"""Begin a login: the host has checked the password and asks for the second factor, or for none."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from commands.check_login import insiders
from commands.grants import Done, sign_pass
from commands.ports import Context, Credential, Desk
from commands.profile import open_profile
from domain.entry import PASSWORD, Due, due
from domain.member_facts import LoginGranted
from domain.member_mfa import PENDING
from domain.refusals import Malformed

HANDOVER = timedelta(seconds=60)
"""How long the one-time token in the hosted page's address lives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenLogin:
    """`return_url` must be registered for the workspace; `state` is the host's own."""

    workspace_id: str
    member_id: str
    return_url: str | None = None
    state: str | None = None
    first_factor_changed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LoginOpened(Done):
    """A pending login with its token, or a granted one with a pass."""

    login_id: str
    due: Due
    expires_at: datetime
    login_token: str | None
    handover: str
    token: str | None = None
    expires_in: int | None = None


def handle(command: OpenLogin, context: Context, desk: Desk) -> LoginOpened:
    """Raises NotFound for a stranger, Malformed for an unregistered return address."""
    member, workspace = insiders(desk, command.workspace_id, command.member_id)
    _refuse_unregistered(desk, command)
    what = due(member, workspace, context.at)
    granted = what.decision == "granted"
    login_id, login_token, handover = desk.chance.id(), desk.chance.token(), desk.chance.token()
    login = _login(command, login_id, member.revocations, context.at)
    facts = (LoginGranted(login_id=login_id, amr=PASSWORD, reason=what.reason),) if granted else ()
    also = (
        desk.credentials.issue(login, login_token),
        desk.credentials.issue(_handover(login, context.at), handover),
    )
    position = desk.store.append(context, (member, facts), also=also)
    signed = sign_pass(desk, context, member, workspace.id, PASSWORD) if granted else (None, None)
    return LoginOpened(
        position=position,
        login_id=login_id,
        due=what,
        expires_at=context.at + PENDING,
        login_token=None if granted else login_token,
        handover=handover,
        token=signed[0],
        expires_in=signed[1],
    )


def _login(command: OpenLogin, login_id: str, revocations: int, at: datetime) -> Credential:
    changed_at = command.first_factor_changed_at
    claims = {
        "workspace_id": command.workspace_id,
        "member_id": command.member_id,
        "revocations": revocations,
        "return_url": command.return_url,
        "state": command.state,
        "first_factor_changed_at": changed_at.isoformat() if changed_at else None,
    }
    return Credential(kind="login", subject=login_id, claims=claims, expires_at=at + PENDING)


def _handover(login: Credential, at: datetime) -> Credential:
    return Credential(kind="handover", subject=login.subject, claims={}, expires_at=at + HANDOVER)


def _refuse_unregistered(desk: Desk, command: OpenLogin) -> None:
    if command.return_url is None:
        return
    profile = open_profile(desk.vault, command.workspace_id)
    if command.return_url not in profile.return_urls:
        raise Malformed("return_url is not registered for this workspace.")
