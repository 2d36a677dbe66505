"""Take the authenticator off with a fresh code or a recovery code."""

from dataclasses import dataclass, replace

from commands.dispatch import record
from commands.grants import Granted, sign_pass
from commands.live_login import require_session
from commands.open_tickets import settled
from commands.ports import Context, Desk
from commands.secrets import Proof, forget, spend
from domain import second_factor
from domain.entry import PASSWORD
from domain.member_facts import MFAUnbound
from domain.member_mfa import MemberMFA
from domain.unbind_ticket import CANCELLED, close_ticket
from domain.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class UnbindMFA:
    """`workspace_id` is that of the caller's pass."""

    member_id: str
    workspace_id: str
    proof: Proof


def handle(command: UnbindMFA, context: Context, desk: Desk) -> Granted:
    """Raises NotBound, Locked or CodeRejected; answers a pass where no second factor is due."""
    member = desk.store.load(MemberMFA, command.member_id)
    require_session(member, context)
    workspace = desk.store.load(Workspace, command.workspace_id)
    binding_id = second_factor.require_bound(member)
    method = "self" if command.proof.recovery_code is None else "recovery_code"
    decision = spend(desk, context, member, command.proof, second_factor.UNBIND).then(
        MFAUnbound(binding_id=binding_id, method=method, ticket_id=None),
        *close_ticket(member, CANCELLED),
    )
    tickets = settled(desk.store, member, "unbound") if decision.granted else ()
    position = record(
        desk, context, decision, (member, decision.facts), *tickets, also=forget(desk, member)
    )
    if workspace.enforces(context.at):
        return Granted(position=position)
    unbound = replace(member, epoch=member.epoch + 1)
    token, expires_in = sign_pass(desk, context, unbound, command.workspace_id, PASSWORD)
    return Granted(position=position, token=token, expires_in=expires_in)
