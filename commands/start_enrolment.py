"""Exchange the mailed code for a secret to scan, shown once."""

import base64
from dataclasses import dataclass
from datetime import datetime

from commands.dispatch import record
from commands.grants import Done
from commands.live_login import require_session
from commands.mailed import code_key
from commands.ports import Context, Desk
from commands.secrets import otpauth_uri, owner
from domain import enrolment, totp
from domain.member_mfa import PENDING, MemberMFA


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class StartEnrolment:
    """With the code that was mailed."""

    member_id: str
    email_code: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class EnrolmentOpened(Done):
    """The secret in base32 and as an `otpauth://` address; never returned again."""

    enrolment_id: str
    secret: str
    otpauth_uri: str
    expires_at: datetime


def handle(command: StartEnrolment, context: Context, desk: Desk) -> EnrolmentOpened:
    """Raises AlreadyBound or CodeRejected; a pending enrolment is replaced."""
    member = desk.store.load(MemberMFA, command.member_id)
    require_session(member, context)
    enrolment_id = desk.chance.id()
    decision = enrolment.start(
        member,
        command.email_code,
        key=code_key(desk.keys),
        enrolment_id=enrolment_id,
        at=context.at,
    )
    secret = base64.b32encode(desk.chance.bytes(totp.SECRET_BYTES)).decode()
    also = (
        desk.vault.discard(owner(member), "totp/"),
        desk.vault.seal(owner(member), f"totp/{enrolment_id}", secret.encode()),
    )
    position = record(desk, context, decision, (member, decision.facts), also=also)
    return EnrolmentOpened(
        position=position,
        enrolment_id=enrolment_id,
        secret=secret,
        otpauth_uri=otpauth_uri(desk, member, secret),
        expires_at=member.clock(context.at) + PENDING,
    )
