"""Make an API token; the operator sees it once."""

from dataclasses import dataclass

from commands.grants import Done
from commands.ports import Context, Credential, Desk
from domain import api_token
from domain.api_token import ApiToken
from domain.member_mfa import MemberMFA
from domain.refusals import Erased


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class CreateToken:
    """The name tells tokens apart for people, and never leaves the vault."""

    role: str
    name: str
    workspace_id: str | None = None
    member_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TokenMade(Done):
    """The token itself, of which only a hash is kept."""

    token_id: str
    token: str


def handle(command: CreateToken, context: Context, desk: Desk) -> TokenMade:
    """Raises Malformed where the role lacks its workspace or member; streams decide its power."""
    created = api_token.create(command.role, command.workspace_id, command.member_id)
    _refuse_erased(command, desk)
    token_id, token = desk.chance.id(), desk.chance.token()
    claims = {
        "role": command.role,
        "workspace_id": command.workspace_id,
        "member_id": command.member_id,
    }
    also = (
        desk.credentials.issue(Credential(kind="api", subject=token_id, claims=claims), token),
        desk.vault.seal(f"token/{token_id}", "name", command.name.encode()),
    )
    position = desk.store.append(context, (ApiToken(token_id), (created,)), also=also)
    return TokenMade(position=position, token_id=token_id, token=token)


def _refuse_erased(command: CreateToken, desk: Desk) -> None:
    if command.member_id and desk.store.load(MemberMFA, command.member_id).erased:
        raise Erased("This account was erased.")
