"""Spend a code or recovery code on a pending login."""

from dataclasses import dataclass

from commands.dispatch import record
from commands.grants import Granted, sign_pass
from commands.live_login import live_login
from commands.ports import Context, Credential, Desk
from commands.secrets import Proof, spend
from domain import second_factor
from domain.entry import TWO_FACTORS
from domain.refusals import IllegalTransition


@dataclass(frozen=True, slots=True, kw_only=True)
class EnterCode:
    """The login is the one that its token opened."""

    login: Credential
    proof: Proof


def handle(command: EnterCode, context: Context, desk: Desk) -> Granted:
    """Raises CodeRejected, Locked, or IllegalTransition where the login is not pending."""
    login = live_login(desk, context, command.login)
    if login.state == "granted":
        raise IllegalTransition("The login was granted already.")
    member = login.member
    decision = spend(desk, context, member, command.proof, second_factor.LOGIN, login.id)
    position = record(desk, context, decision, (member, decision.facts))
    token, expires_in = sign_pass(desk, context, member, login.workspace.id, TWO_FACTORS)
    return Granted(position=position, token=token, expires_in=expires_in)
