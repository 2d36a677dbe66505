"""Bind the scanned authenticator with its first right code, and hand out recovery codes once."""

from dataclasses import dataclass, replace

from commands.dispatch import record
from commands.grants import Granted, sign_pass
from commands.live_login import require_session
from commands.open_tickets import settled
from commands.ports import Context, Desk
from commands.secrets import new_recovery_codes, secret_of
from domain import enrolment
from domain.entry import TWO_FACTORS
from domain.member_mfa import MemberMFA


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class BindMFA:
    """`login_id` is the pending login that binding also grants; None from settings."""

    member_id: str
    workspace_id: str
    code: str
    enrolment_id: str | None = None
    login_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class MFABound(Granted):
    """A pass of the new epoch, and the codes to write down."""

    recovery_codes: tuple[str, ...]


def handle(command: BindMFA, context: Context, desk: Desk) -> MFABound:
    """Raises AlreadyBound, IllegalTransition without this enrolment, Locked, CodeRejected."""
    member = desk.store.load(MemberMFA, command.member_id)
    require_session(member, context)
    binding_id = enrolment.pending(member, command.enrolment_id, context.at)
    recovery_set = desk.chance.id()
    decision = enrolment.bind(
        member,
        secret_of(desk, member, binding_id),
        command.code,
        at=context.at,
        window=desk.rules.code_window,
        recovery_set=recovery_set,
        workspace_id=command.workspace_id,
        login_id=command.login_id,
    )
    codes, also = new_recovery_codes(desk, member, recovery_set)
    tickets = settled(desk.store, member, "bound") if decision.granted else ()
    position = record(desk, context, decision, (member, decision.facts), *tickets, also=also)
    bound = replace(member, epoch=member.epoch + 1)
    token, expires_in = sign_pass(desk, context, bound, command.workspace_id, TWO_FACTORS)
    return MFABound(position=position, token=token, expires_in=expires_in, recovery_codes=codes)
