"""End an API token."""

from dataclasses import dataclass

from commands.grants import Done
from commands.ports import Context, Desk, Write
from domain import api_token
from domain.api_token import ApiToken


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeToken:
    """By the token's id, as `token list` shows it."""

    token_id: str


def handle(command: RevokeToken, context: Context, desk: Desk) -> Done:
    """Raises NotFound, or IllegalTransition where it was revoked before."""
    token = desk.store.load(ApiToken, command.token_id)
    fact = api_token.revoke(token)
    also = withdrawn(desk, token.id)
    return Done(position=desk.store.append(context, (token, (fact,)), also=also))


def withdrawn(desk: Desk, token_id: str) -> tuple[Write, ...]:
    """The writes that take the token and its name away."""
    return (
        desk.credentials.withdraw("api", token_id),
        desk.vault.destroy(f"token/{token_id}"),
    )
