"""End an account for ever: its key and personal data are destroyed, its history stays."""

from dataclasses import dataclass

from commands.grants import Done
from commands.open_tickets import settled
from commands.ports import Change, Context, Desk, Write
from commands.revoke_token import withdrawn
from domain import api_token, membership
from domain.api_token import ApiToken
from domain.member_mfa import MemberMFA


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseMember:
    """Erase the account."""

    member_id: str


def handle(command: EraseMember, context: Context, desk: Desk) -> Done:
    """Raises NotFound for a stranger, or where it was done before."""
    member = desk.store.load(MemberMFA, command.member_id)
    facts = membership.erase(member)
    tickets = settled(desk.store, member, "removed")
    tokens, also = _tokens(desk, member.id)
    destroyed = desk.vault.destroy(f"member/{member.id}")
    position = desk.store.append(
        context, (member, facts), *tickets, *tokens, also=(destroyed, *also)
    )
    return Done(position=position)


def _tokens(desk: Desk, member_id: str) -> tuple[list[Change], list[Write]]:
    """The end of the API tokens that belong to the member."""
    changes, writes = list[Change](), list[Write]()
    for each in desk.credentials.of_kind("api"):
        if each.claims["member_id"] == member_id:
            token = desk.store.load(ApiToken, each.subject)
            changes.append((token, (api_token.revoke(token),)))
            writes.extend(withdrawn(desk, token.id))
    return changes, writes
