"""Whether a pass still holds, and whether it opens its workspace, answered by the streams."""

from dataclasses import dataclass

from commands.ports import Context, Desk, Pass
from domain.entry import opens
from domain.member_mfa import MemberMFA
from domain.refusals import Unauthenticated
from domain.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CheckPass:
    """A signed pass as it came."""

    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PassChecked:
    """The pass's claims, the member as it is now, and whether the workspace opens."""

    claims: Pass
    member: MemberMFA
    workspace: Workspace
    opens: bool

    @property
    def role(self) -> str:
        """The member's role in the pass's workspace, from the stream and never from the claim."""
        return self.member.roles[self.workspace.id]


def handle(command: CheckPass, context: Context, desk: Desk) -> PassChecked:
    """Raises Unauthenticated for a forged, expired or outdated pass, or a former member."""
    claims = desk.passes.read(command.token, context.at)
    if claims is None:
        raise Unauthenticated("The pass does not hold.")
    return judge(claims, context, desk)


def judge(claims: Pass, context: Context, desk: Desk) -> PassChecked:
    """The same of claims that are known to be genuine; raises Unauthenticated."""
    member, workspace = desk.store.load_pair(
        (MemberMFA, claims.member_id), (Workspace, claims.workspace_id)
    )
    if member.epoch != claims.epoch or claims.workspace_id not in member.roles:
        raise Unauthenticated("The pass does not hold.")
    return PassChecked(
        claims=claims,
        member=member,
        workspace=workspace,
        opens=opens(member, workspace, claims.amr, context.at),
    )
