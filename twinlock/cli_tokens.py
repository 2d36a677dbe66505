"""`twinlock token`: make, list and revoke API tokens."""

import json
from typing import Annotated

import typer

from api.fields import ID
from commands.create_token import CreateToken
from commands.dispatch import run
from commands.revoke_token import RevokeToken
from domain.refusals import Unreadable
from twinlock.composition import Twinlock
from twinlock.outputs import print_table
from twinlock.running import WRONG, AsJson, context, fail, opened

token = typer.Typer(help="Make, list and revoke API tokens.", no_args_is_help=True)

Role = Annotated[str, typer.Option(help="host, owner, support, auditor or analyst.")]
Name = Annotated[str, typer.Option(help="Tells tokens apart; never leaves the vault.")]
Workspace = Annotated[str | None, typer.Option(help="Confines the token to this workspace.")]
Member = Annotated[str | None, typer.Option(help="The agent or owner whom it belongs to.")]


def register(app: typer.Typer) -> None:
    """Add `token`."""
    app.add_typer(token, name="token")


@token.command()
def create(role: Role, name: Name = "", workspace: Workspace = None, member: Member = None) -> None:
    """Make a token and print it alone, once: only its hash is kept."""
    for option, given in (("--workspace", workspace), ("--member", member)):
        if given is not None and not ID.fullmatch(given):
            fail(f"{option}: is 1 to 128 of A-Za-z0-9._~-", WRONG)
    command = CreateToken(role=role, name=name, workspace_id=workspace, member_id=member)
    with opened() as twinlock:
        typer.echo(run(command, context(twinlock), twinlock.desk).token)


@token.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the live tokens, without their secrets."""
    with opened() as twinlock:
        rows = tokens(twinlock)
    if as_json:
        typer.echo(json.dumps(rows))
        return
    heads = ("id", "role", "workspace", "member", "name")
    print_table(heads, [[value or "" for value in row.values()] for row in rows])


@token.command()
def revoke(token_id: Annotated[str, typer.Argument(help="As `token list` shows it.")]) -> None:
    """End a token, within a second in every process."""
    with opened() as twinlock:
        run(RevokeToken(token_id=token_id), context(twinlock), twinlock.desk)


def tokens(twinlock: Twinlock) -> list[dict[str, str | None]]:
    """Answer the live tokens: id, role, workspace, member and name."""
    return [
        {
            "token_id": each.subject,
            "role": each.claims["role"],
            "workspace_id": each.claims["workspace_id"],
            "member_id": each.claims["member_id"],
            "name": _name(twinlock, each.subject),
        }
        for each in twinlock.credentials.of_kind("api")
    ]


def _name(twinlock: Twinlock, token_id: str) -> str | None:
    """None where it cannot be read: the token can be revoked all the same."""
    try:
        return (twinlock.vault.peek(f"token/{token_id}", "name") or b"").decode()
    except Unreadable:
        return None
