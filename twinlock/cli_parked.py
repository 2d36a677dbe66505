"""`twinlock parked`: records that a read model could not apply."""

import json
from typing import Annotated, Any

import typer

from domain.times import rfc3339
from projections.models import MODELS, Model
from twinlock.outputs import print_table
from twinlock.running import REFUSED, AsJson, fail, opened
from workers import mail_queue, parking

parked = typer.Typer(help="Records that could not be applied.", no_args_is_help=True)
ID = typer.Argument(metavar="ID", help="As `parked list` shows it.")
Id = Annotated[int, ID]


def register(app: typer.Typer) -> None:
    """Add `parked`."""
    app.add_typer(parked, name="parked")


@parked.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the parked records, oldest first."""
    with opened() as twinlock, twinlock.connect() as connection:
        rows = parking.parked_records(connection)
    if as_json:
        typer.echo(json.dumps([_told(row) for row in rows], indent=2))
        return
    if not rows:
        typer.echo("nothing is parked")
        return
    heads = ("id", "model", "position", "reason", "parked at")
    print_table(heads, map(_cells, rows))


@parked.command()
def show(id_: Id, as_json: AsJson = False) -> None:
    """Print a parked record as it came."""
    with opened() as twinlock, twinlock.connect() as connection:
        row = parking.parked_record(connection, id_)
    if row is None:
        fail("no such record", REFUSED)
    record = row.record.decode(errors="backslashreplace")
    typer.echo(json.dumps({**_told(row), "record": record}, indent=2) if as_json else record)


@parked.command()
def retry(id_: Id) -> None:
    """Apply a parked event as the store has it, and what came after it in its stream."""
    with opened() as twinlock, twinlock.connect() as connection:
        row = parking.parked_record(connection, id_)
        if row is None:
            fail("no such record", REFUSED)
        try:
            parking.retry(connection, _model(row.model), row)
        except parking.NotOurs:
            fail("it is no event of the store; discard it", REFUSED)
        except parking.StillFails as failed:
            what, why = f"position {failed.position} still fails in {row.model}", failed.__cause__
            fail(f"{what}: {type(why).__name__} {why}".rstrip(), REFUSED)
    typer.echo(f"applied: position {row.position} in {row.model}")


@parked.command()
def discard(ids: Annotated[list[int], ID]) -> None:
    """Forget parked records."""
    with opened() as twinlock, twinlock.connect() as connection:
        gone = parking.discard(connection, ids)
    for id_ in sorted(gone):
        typer.echo(f"discarded: {id_}")
    if missing := sorted(set(ids) - gone):
        fail(f"no such record: {', '.join(map(str, missing))}", REFUSED)


def _cells(row: parking.ParkedRow) -> tuple[str, ...]:
    place = "" if row.position is None else str(row.position)
    return str(row.id), row.model, place, row.reason, rfc3339(row.parked_at, "seconds")


def _told(row: parking.ParkedRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "model": row.model,
        "position": row.position,
        "reason": row.reason,
        "parked_at": rfc3339(row.parked_at),
    }


def _model(key: str) -> Model:
    return next(model for model in (*MODELS, mail_queue.MODEL) if model.key == key)
