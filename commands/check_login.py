"""What is due of a member before a workspace opens, answered by the streams themselves."""

from dataclasses import dataclass

from commands.ports import Context, Desk
from domain.entry import Due, due
from domain.member_mfa import MemberMFA
from domain.refusals import NotFound
from domain.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckLogin:
    """A question; it records nothing."""

    workspace_id: str
    member_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginChecked:
    """The answer, with the member's binding and epoch."""

    position: int
    due: Due
    bound: bool
    epoch: int


def handle(command: CheckLogin, context: Context, desk: Desk) -> LoginChecked:
    """Raises NotFound for a stranger."""
    position = desk.store.head()
    member, workspace = insiders(desk, command.workspace_id, command.member_id)
    return LoginChecked(
        position=position,
        due=due(member, workspace, context.at),
        bound=member.bound,
        epoch=member.epoch,
    )


def insiders(desk: Desk, workspace_id: str, member_id: str) -> tuple[MemberMFA, Workspace]:
    """The member and the workspace it belongs to; raises NotFound where it does not."""
    member, workspace = desk.store.load_pair((MemberMFA, member_id), (Workspace, workspace_id))
    if workspace_id not in member.roles:
        raise NotFound("No such member.")
    return member, workspace
