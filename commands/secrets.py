"""Where the vault keeps an authenticator's secret and recovery codes, and how they are spent."""

import json
from dataclasses import dataclass

from commands.contact import account_label
from commands.ports import Context, Desk, Stale, Write
from domain import second_factor, totp
from domain.decision import Decision
from domain.enrolment import RECOVERY_CODES
from domain.member_mfa import MemberMFA
from domain.onetime import recovery_code, recovery_digest
from domain.refusals import Unavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Either a code or a recovery code."""

    code: str | None = None
    recovery_code: str | None = None

    def __repr__(self) -> str:
        """Masked: a proof never shows in logs."""
        return "Proof(***)"


def secret_of(desk: Desk, member: MemberMFA, binding_id: str) -> str:
    """The base32 secret of a binding or pending enrolment; raises Unavailable if unreadable."""
    return _opened(desk, member, f"totp/{binding_id}").decode()


def otpauth_uri(desk: Desk, member: MemberMFA, secret: str) -> str:
    """The `otpauth://` address of a secret, under the name that authenticator apps show."""
    account = account_label(desk.vault, member.id)
    return totp.uri(secret, account=account, issuer=desk.rules.issuer)


def spend(
    desk: Desk,
    context: Context,
    member: MemberMFA,
    proof: Proof,
    purpose: str,
    login_id: str | None = None,
) -> Decision:
    """Judge the proof of a bound member; what is decided still has to be recorded."""
    binding_id = second_factor.require_bound(member)
    if proof.recovery_code is not None:
        digests = json.loads(_opened(desk, member, f"recovery/{member.recovery_set}"))
        return second_factor.spend_recovery_code(
            member,
            digests,
            proof.recovery_code,
            purpose=purpose,
            at=context.at,
            login_id=login_id,
        )
    return second_factor.spend_code(
        member,
        secret_of(desk, member, binding_id),
        proof.code or "",
        purpose=purpose,
        at=context.at,
        window=desk.rules.code_window,
        login_id=login_id,
    )


def new_recovery_codes(
    desk: Desk, member: MemberMFA, set_id: str
) -> tuple[tuple[str, ...], tuple[Write, ...]]:
    """Fresh codes to show once, and the writes that keep only their digests."""
    codes = tuple(recovery_code(desk.chance.bytes(10)) for _ in range(RECOVERY_CODES))
    digests = json.dumps([recovery_digest(code) for code in codes]).encode()
    return codes, (
        desk.vault.discard(owner(member), "recovery/"),
        desk.vault.seal(owner(member), f"recovery/{set_id}", digests),
    )


def forget(desk: Desk, member: MemberMFA) -> tuple[Write, ...]:
    """Drop the secret and recovery codes of a binding that is gone."""
    return (
        desk.vault.discard(owner(member), "totp/"),
        desk.vault.discard(owner(member), "recovery/"),
    )


def _opened(desk: Desk, member: MemberMFA, item: str) -> bytes:
    """The item; raises Stale where it left the vault with a change that came in between."""
    try:
        return desk.vault.open(owner(member), item)
    except Unavailable:
        if desk.store.load(MemberMFA, member.id).version != member.version:
            raise Stale from None
        raise


def owner(member: MemberMFA) -> str:
    """The name under which the vault keeps what belongs to the member."""
    return f"member/{member.id}"
