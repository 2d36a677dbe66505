"""`twinlock serve`, `worker`, `migrate` and `doctor`."""

import json
import signal
import threading
from dataclasses import asdict
from typing import Annotated

import typer

from twinlock import doctor as checks
from twinlock.running import OK, REFUSED, WRONG, AsJson, fail, opened, settings


def register(app: typer.Typer) -> None:
    """Add them."""
    for command in (serve, worker, migrate, doctor):
        app.command()(command)


def serve() -> None:
    """Serve the API and the pages."""
    from twinlock.serve import serve as run_server

    with opened() as twinlock:
        found = twinlock.settings
    try:
        run_server(found)
    except OSError as error:
        why = str(error.strerror or error).partition(" (")[0]
        fail(f"TWINLOCK_HTTP: {found.http}: {why}", WRONG)


def worker(
    names: Annotated[
        list[str] | None, typer.Argument(help="relay, project, mail, notary; none: all.")
    ] = None,
) -> None:
    """Run the workers, or some of them; SIGTERM stops them within ten seconds."""
    from twinlock.backend import parts
    from workers.run import NAMES, run_workers

    chosen = names or list(NAMES)
    if unknown := [name for name in chosen if name not in NAMES]:
        fail(f"no worker is called {unknown[0]}; there are {', '.join(NAMES)}", WRONG)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with opened() as twinlock:
        ended = run_workers(chosen, parts(twinlock), stop)
    raise typer.Exit(OK if ended else REFUSED)


def migrate() -> None:
    """Make or complete the schema; may be run again, and by several at once."""
    with opened(migrated=False) as twinlock:
        twinlock.migrate()


def doctor(as_json: AsJson = False) -> None:
    """Check database, broker, mail, clock and keys, one line each."""
    results = checks.examine(settings())
    if as_json:
        typer.echo(json.dumps([asdict(result) for result in results], indent=2))
    else:
        for result in results:
            typer.echo(str(result))
    raise typer.Exit(OK if all(result.well for result in results) else REFUSED)
