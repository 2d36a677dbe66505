"""What commands answer with: the position they took effect at, and a pass where one is due."""

from dataclasses import dataclass
from datetime import datetime

from commands.ports import Context, Desk, Pass
from domain.member_mfa import MemberMFA


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The command took effect at `position`."""

    position: int


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Granted(Done):
    """The command took effect; `token` is a signed pass where the member gets one."""

    token: str | None = None
    expires_in: int | None = None


def sign_pass(
    desk: Desk,
    context: Context,
    member: MemberMFA,
    workspace_id: str,
    amr: tuple[str, ...],
    auth_time: datetime | None = None,
) -> tuple[str, int]:
    """A pass for `member` as it is after the append, and its life in seconds.

    `auth_time` is when the member proved the factors, where that is not now.
    """
    claims = Pass(
        member_id=member.id,
        workspace_id=workspace_id,
        amr=amr,
        epoch=member.epoch,
        auth_time=auth_time or context.at,
        issued_at=context.at,
        expires_at=context.at + desk.rules.pass_life,
        id=desk.chance.id(),
    )
    return desk.passes.sign(claims), int(desk.rules.pass_life.total_seconds())
