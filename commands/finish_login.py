"""Finish a granted login in the browser: back to its host with a one-time code, or with a pass."""

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode, urlsplit, urlunsplit

from commands.grants import Done, sign_pass
from commands.live_login import LiveLogin, live_login
from commands.ports import Context, Credential, Desk
from commands.profile import open_profile
from domain.entry import opens, still_proves
from domain.refusals import IllegalTransition, Unauthenticated
from domain.times import rfc3339

EXCHANGE = timedelta(seconds=60)
"""How long the host has to exchange the code."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class FinishLogin:
    """`amr` is what the browser's session has proven in this login."""

    login: Credential
    amr: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LoginFinished(Done):
    """The host's registered address to go to, or, where it named none, a pass."""

    address: str | None
    token: str | None


def handle(command: FinishLogin, context: Context, desk: Desk) -> LoginFinished:
    """Raises IllegalTransition where it was not granted, or more is due by now.

    Raises Unauthenticated where its address is not registered any more.
    """
    login = live_login(desk, context, command.login)
    member, amr = login.member, command.amr
    suffices = still_proves(member, login.id, amr) and opens(
        member, login.workspace, amr, context.at
    )
    if login.state != "granted" or not suffices:
        raise IllegalTransition("The login is not granted, or more is due by now.")
    return_url = command.login.claims["return_url"]
    if return_url is None:
        granted_at = member.granted_at(login.id)
        token, _ = sign_pass(desk, context, member, login.workspace.id, amr, granted_at)
        return LoginFinished(position=desk.store.head(), address=None, token=token)
    if return_url not in open_profile(desk.vault, login.workspace.id).return_urls:
        raise Unauthenticated("The login ended: its return_url is registered no more.")
    code = desk.chance.token()
    write = desk.credentials.issue(_exchange(login, amr, context), code)
    position = desk.store.append(context, also=(write,))
    address = _with(return_url, code, command.login.claims["state"])
    return LoginFinished(position=position, address=address, token=None)


def _exchange(login: LiveLogin, amr: tuple[str, ...], context: Context) -> Credential:
    return Credential(
        kind="exchange",
        subject=login.id,
        claims={
            "workspace_id": login.workspace.id,
            "member_id": login.member.id,
            "amr": list(amr),
            "epoch": login.member.epoch,
            "auth_time": rfc3339(login.member.granted_at(login.id), "microseconds"),
        },
        expires_at=context.at + EXCHANGE,
    )


def _with(return_url: str, code: str, state: str | None) -> str:
    """The registered address, whose own query stays."""
    parts = urlsplit(return_url)
    added = urlencode({"code": code} | ({"state": state} if state is not None else {}))
    query = f"{parts.query}&{added}" if parts.query else added
    return urlunsplit(parts._replace(query=query))
