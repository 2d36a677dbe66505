"""`twinlock keys` and `twinlock erase`: the keys, and the end of an account."""

import json
import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from commands.dispatch import run
from commands.erase_member import EraseMember
from twinlock.running import REFUSED, WRONG, AsJson, context, fail, opened

keys = typer.Typer(help="Rotate master, pass and notary keys.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add `keys` and `erase`."""
    app.add_typer(keys, name="keys")
    app.command()(erase)


@keys.command()
def rotate(
    passes: Annotated[bool, typer.Option("--passes", help="A new pass key instead.")] = False,
    notary: Annotated[bool, typer.Option("--notary", help="A new notary key instead.")] = False,
) -> None:
    """Wrap every data key under the first master key, while serving.

    Put the new key behind the old one and restart every process, then in front and restart again;
    in a MASTER_KEY_FILE that all of them read, put it in front at once. Rotate, and take the old
    one away when `keys status` shows that nothing is under it.
    """
    if passes and notary:
        fail("--passes and --notary: give one of them", WRONG)
    with opened() as twinlock:
        if passes:
            typer.echo(f"Passes are signed with {twinlock.passes.rotate(datetime.now(UTC))} now.")
            return
        if notary:
            typer.echo(f"Checkpoints are verified with {twinlock.notary.rotate(datetime.now(UTC))}")
            return
        done, failed = twinlock.vault.rotate()
        typer.echo(f"{done} data keys were wrapped anew, under the current master key.")
        if failed:
            fail(f"these do not open, and are as they were: {', '.join(failed)}", REFUSED)


@keys.command()
def status(as_json: AsJson = False) -> None:
    """Count the data keys under each master key."""
    with opened() as twinlock, twinlock.connect() as connection:
        counts = twinlock.vault.key_ids(connection)
    if as_json:
        typer.echo(json.dumps(counts, indent=2, sort_keys=True))
        return
    for key_id, count in sorted(counts.items()):
        typer.echo(f"{key_id}\t{count}")


def erase(
    member_id: Annotated[str, typer.Argument(help="The member's id.")],
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """End an account for ever: key and personal data are destroyed, history and counts stay.

    Asks first where it runs on a terminal.
    """
    asks = sys.stdin.isatty() and not yes
    if asks and not typer.confirm(f"Erase {member_id} for ever?"):
        fail("nothing was erased", REFUSED)
    with opened() as twinlock:
        run(EraseMember(member_id=member_id), context(twinlock), twinlock.desk)
    typer.echo(f"{member_id} is erased.")
