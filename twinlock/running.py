"""What every command of the command line shares: settings, a built Twinlock, exit codes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Final, NoReturn

import psycopg
import typer

from commands.ports import Context
from domain.facts import Actor
from domain.refusals import Malformed, Refusal, Unavailable
from twinlock import logs
from twinlock.adapters.database import Unfit, told
from twinlock.composition import Twinlock, build
from twinlock.settings import Settings, WrongSetting

OK: Final = 0
REFUSED: Final = 1
"""A command was refused, or a check failed."""
WRONG: Final = 2
"""Settings or arguments are missing or wrong."""
AWAY: Final = 3
"""The database is away, not migrated or unfit, or refuses."""
BROKEN_OFF: Final = 4
"""A file or a topic could not be finished; of a file nothing is left."""
UNCHECKED: Final = 5
"""Nothing is wrong, but not everything that was asked for could be compared."""

AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
OPERATOR: Final = Actor("operator", "cli")


def fail(message: str, code: int) -> NoReturn:
    """Say one line on standard error, and leave."""
    typer.echo(f"twinlock: {message}", err=True)
    raise typer.Exit(code)


def settings() -> Settings:
    """Read the settings, or leave with one line that names what is wrong."""
    logs.configure()
    try:
        return Settings.read()
    except WrongSetting as error:
        fail(str(error), WRONG)


@contextmanager
def opened(*, migrated: bool = True) -> Iterator[Twinlock]:
    """Lend a built Twinlock; whatever it refuses becomes one line and an exit code."""
    twinlock = build(settings())
    try:
        if migrated:
            twinlock.check_database()
            twinlock.check_keys()
        yield twinlock
    except Unfit as error:
        fail(str(error), AWAY)
    except (Unavailable, psycopg.Error) as error:
        fail(told(error, twinlock.database.uri), AWAY)
    except Refusal as error:
        code = WRONG if isinstance(error, Malformed) else REFUSED
        fail(error.detail or error.slug, code)
    finally:
        twinlock.close()


def context(twinlock: Twinlock) -> Context:
    """Who asks when it is the operator."""
    return twinlock.context(OPERATOR, twinlock.desk.chance.id())
