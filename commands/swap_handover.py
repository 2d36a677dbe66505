"""Swap the one-time token in the hosted page's address for the login that it stands for."""

from dataclasses import dataclass

from commands.live_login import LiveLogin, live_login
from commands.ports import Context, Credential, Desk
from domain.refusals import Unauthenticated


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SwapHandover:
    """It works once, within a minute of the login's beginning."""

    handover: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class HandoverSwapped:
    """The login, for the session of the browser that brought the token."""

    login: Credential
    live: LiveLogin


def handle(command: SwapHandover, context: Context, desk: Desk) -> HandoverSwapped:
    """Raises Unauthenticated for a wrong, used or expired token, or a login that ended."""
    spent = desk.credentials.spend("handover", command.handover)
    login = desk.credentials.by_subject("login", spent.subject) if spent else None
    if login is None:
        raise Unauthenticated("The link does not hold.")
    return HandoverSwapped(login=login, live=live_login(desk, context, login))
