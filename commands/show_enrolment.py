"""Show a pending secret again, to the browser session that began the enrolment."""

from dataclasses import dataclass

from commands.ports import Context, Desk
from commands.secrets import otpauth_uri, secret_of
from commands.start_enrolment import EnrolmentOpened
from domain import enrolment
from domain.member_mfa import MemberMFA


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowEnrolment:
    """The caller vouches that this session began it; nobody else ever sees it again."""

    member_id: str
    enrolment_id: str


def handle(command: ShowEnrolment, context: Context, desk: Desk) -> EnrolmentOpened:
    """Raises AlreadyBound, or IllegalTransition once it is replaced or ten minutes old."""
    member = desk.store.load(MemberMFA, command.member_id)
    enrolment_id = enrolment.pending(member, command.enrolment_id, context.at)
    assert member.enrolment is not None
    secret = secret_of(desk, member, enrolment_id)
    return EnrolmentOpened(
        position=desk.store.head(),
        enrolment_id=enrolment_id,
        secret=secret,
        otpauth_uri=otpauth_uri(desk, member, secret),
        expires_at=member.enrolment.expires_at,
    )
