"""`twinlock rebuild`: a read model anew out of the store, while everything goes on."""

from typing import Annotated

import typer

from projections.models import MODELS
from twinlock.backend import log_of, partition_of
from twinlock.outputs import Telling
from twinlock.running import REFUSED, WRONG, fail, opened
from workers import rebuild as rebuilding
from workers.rebuild import Busy, Outcome
from workers.rebuild_marks import Live

Name = Annotated[str, typer.Argument(help="standing, tickets or audit_trail.")]
Check = Annotated[bool, typer.Option("--check", help="Compare only, and change nothing.")]


def register(app: typer.Typer) -> None:
    """Add `rebuild`."""
    app.command()(rebuild)


def rebuild(name: Name, only_check: Check = False) -> None:
    """Build a read model beside the live one, compare, and switch in one transaction.

    Queries are answered all along, and no mail is sent: the mail queue is no read model.

    Exit codes: 0 done, or, with --check, both are the same; 1 they differ, or another rebuild is
    under way; 2 no such read model; 3 the database is away, or refuses.
    """
    models = rebuilding.named(MODELS)
    if name not in models:
        fail(f"no read model is called {name}; there are {', '.join(models)}", WRONG)
    model = models[name]
    with opened() as twinlock, Telling(name) as tell:
        marks = Live(model.key, log_of(twinlock.settings), partition_of(twinlock.settings))
        run = rebuilding.check if only_check else rebuilding.rebuild
        try:
            outcome = run(model, twinlock.connect, marks, tell)
        except Busy as error:
            fail(str(error), REFUSED)
    _say(name, outcome)
    if only_check and outcome.difference:
        raise typer.Exit(REFUSED)


def _say(name: str, outcome: Outcome) -> None:
    rate = outcome.events / outcome.seconds if outcome.seconds else 0
    spent = f"{outcome.events:,} events in {outcome.seconds:.1f} s, {rate:,.0f}/s"
    typer.echo(f"{name}: built up to position {outcome.position}: {spent}")
    if not outcome.compared:
        typer.echo(f"{name}: nothing live to compare with")
    elif outcome.difference:
        typer.echo(f"{name}: the first difference: {outcome.difference}")
    else:
        typer.echo(f"{name}: the live one was the same")
    for position, reason in sorted(outcome.failed.items()):
        typer.echo(f"{name}: position {position} could not be applied: {reason}")
    if outcome.switched:
        typer.echo(f"{name}: the new one is live")
