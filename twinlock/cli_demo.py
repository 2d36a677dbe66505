"""`twinlock demo`: a demonstration workspace, and codes without a phone."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from twinlock import demo
from twinlock.composition import Twinlock
from twinlock.running import REFUSED, WRONG, fail, opened

group = typer.Typer(help="For demonstrations only; needs TWINLOCK_DEMO.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add `demo`."""
    app.add_typer(group, name="demo")


@contextmanager
def _demonstrated() -> Iterator[Twinlock]:
    with opened() as twinlock:
        if not twinlock.settings.demo:
            fail("TWINLOCK_DEMO: is off", WRONG)
        yield twinlock


@group.command()
def seed() -> None:
    """Make workspaces, members and fresh tokens; print them as JSON. May be run again."""
    with _demonstrated() as twinlock:
        typer.echo(json.dumps(demo.seed(twinlock), indent=2))


@group.command()
def code(
    member: Annotated[str, typer.Argument(help="A bound or enrolling member.")] = demo.BOUND,
    also: Annotated[str | None, typer.Option("--member", help="The same, as an option.")] = None,
) -> None:
    """Wait for a time step not yet spent, and print its code."""
    with _demonstrated() as twinlock:
        found = demo.code(twinlock, also or member)
        if found is None:
            fail("the member has no authenticator", REFUSED)
        typer.echo(found)
