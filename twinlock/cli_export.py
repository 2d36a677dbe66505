"""`twinlock export`: the history in files for analysts."""

import re
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from twinlock.adapters import parquet as files
from twinlock.adapters.parquet import NotInstalled
from twinlock.cli_replay import First, Last, Since, Types, Until, Workspace, since_until
from twinlock.composition import Twinlock
from twinlock.outputs import Telling, whole_file
from twinlock.running import BROKEN_OFF, REFUSED, WRONG, fail, opened
from workers import history, slices
from workers.slices import Slice, Unreadable

PART = re.compile(r"events-([0-9]{16})-([0-9]{16})\.parquet")
Target = Annotated[
    str, typer.Argument(help="A file, or a folder to which a file is added; `name/` makes one.")
]
export = typer.Typer(help="Write the history to files.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add `export`."""
    app.add_typer(export, name="export")


@export.callback()
def _group() -> None:
    """Write the history to files."""


@export.command()
def parquet(
    where: Target,
    first: First = 1,
    last: Last = None,
    since: Since = None,
    until: Until = None,
    types: Types = None,
    workspace: Workspace = None,
) -> None:
    """Write events to Parquet; a file is whole or not there.

    Into a folder goes one file for each run, from where the last one ended: run it again for what
    is new. It takes the whole history, up to --to-position at most. Exit codes: 0 done; 1 an event
    cannot be read; 2 a wrong argument, or pyarrow is missing; 3 the database is away; 4 the file
    could not be finished, and is not there.
    """
    target = _folder_made(where)
    if target.is_dir():
        if first > 1 or since or until or types or workspace:
            fail("a folder takes the whole history: name a file for a part of it", WRONG)
        first = _last_there(target) + 1
    begin, end = since_until(since, until)
    wanted = Slice(
        first=first,
        last=last,
        since=begin,
        until=end,
        types=frozenset(types or ()),
        workspace_id=workspace,
    )
    with opened() as twinlock:
        try:
            typer.echo(_write(twinlock, wanted, target))
        except NotInstalled as error:
            fail(str(error), WRONG)
        except Unreadable as error:
            fail(f"{error}; nothing was written", REFUSED)
        except OSError as error:
            fail(f"{target}: {error.strerror}; nothing was written", BROKEN_OFF)


def _folder_made(where: str) -> Path:
    """The path; what ends in a slash is a folder, also where it is not there yet."""
    target = Path(where)
    if where.endswith("/"):
        try:
            target.mkdir(exist_ok=True)
        except OSError as error:
            fail(f"{target}: {error.strerror}; nothing was written", BROKEN_OFF)
    return target


def _write(twinlock: Twinlock, wanted: Slice, target: Path) -> str:
    with ExitStack() as stack:
        connection = stack.enter_context(twinlock.connect())
        newest = min(filter(None, (wanted.last, history.head(connection))), default=0)
        if target.is_dir() and wanted.first > newest:
            return f"{target}: nothing new behind position {wanted.first - 1}"
        where = slices.span(connection, wanted)
        if target.is_dir():
            target = target / f"events-{where.after + 1:016d}-{where.until:016d}.parquet"
        tell = stack.enter_context(Telling("export"))
        read = slices.read(connection, wanted, where, partial(tell, ""))
        with whole_file(target) as file:
            count = files.write(file, read)
        return f"{target}: {count:,} events up to position {where.until}"


def _last_there(folder: Path) -> int:
    """The last position of the files in the folder."""
    found = (PART.fullmatch(path.name) for path in folder.iterdir())
    return max((int(name[2]) for name in found if name), default=0)
