"""Replace the recovery codes by ten new ones, with a fresh code."""

from dataclasses import dataclass

from commands.dispatch import record
from commands.grants import Done
from commands.live_login import require_session
from commands.ports import Context, Desk
from commands.secrets import Proof, new_recovery_codes, spend
from domain import second_factor
from domain.enrolment import RECOVERY_CODES
from domain.member_facts import RecoveryCodesIssued
from domain.member_mfa import MemberMFA


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewRecoveryCodes:
    """The older codes are void."""

    member_id: str
    proof: Proof


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RecoveryCodesRenewed(Done):
    """The codes to write down, shown once."""

    recovery_codes: tuple[str, ...]


def handle(command: RenewRecoveryCodes, context: Context, desk: Desk) -> RecoveryCodesRenewed:
    """Raises NotBound, Locked or CodeRejected."""
    member = desk.store.load(MemberMFA, command.member_id)
    require_session(member, context)
    set_id = desk.chance.id()
    decision = spend(desk, context, member, command.proof, second_factor.RECOVERY_CODES).then(
        RecoveryCodesIssued(set_id=set_id, count=RECOVERY_CODES)
    )
    codes, also = new_recovery_codes(desk, member, set_id)
    position = record(desk, context, decision, (member, decision.facts), also=also)
    return RecoveryCodesRenewed(position=position, recovery_codes=codes)
