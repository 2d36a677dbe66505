"""Where long outputs go: files that are whole or not there, and progress on standard error."""

import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

LINE_SECONDS: Final = 5.0


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes its name once it is complete and on the disk; raises OSError."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
        with suppress(OSError):
            _sync_folder(path.parent)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Rows with an id in front, which stays in one piece; no cell is cut, and none is markup."""
    table = Table()
    for number, head in enumerate(heads):
        table.add_column(head, no_wrap=number == 0, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(markup=False, emoji=False).print(table)


class Rate(ProgressColumn):
    """Positions a second."""

    def render(self, task: Task) -> Text:
        """Show it."""
        return Text(f"{task.speed:,.0f}/s" if task.speed else "", style="progress.data.speed")


class Telling:
    """Tells how far something is: a bar on a terminal, a line every five seconds elsewhere."""

    def __init__(self, title: str) -> None:
        """Say nothing yet."""
        self._title = title
        self._bar = _bar() if sys.stderr.isatty() else None
        self._tasks: dict[str, int] = {}
        self._step = ""
        self._begun = self._said = time.monotonic()

    def __enter__(self) -> "Telling":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, step: str, done: int, total: int) -> None:
        """Be told."""
        if self._bar is None:
            self._line(step, done, total)
            return
        if step not in self._tasks:
            self._tasks[step] = self._bar.add_task(f"{self._title} {step}".strip(), total=total)
        self._bar.update(self._tasks[step], completed=done, total=total)  # type: ignore[arg-type]

    def _line(self, step: str, done: int, total: int) -> None:
        now = time.monotonic()
        if step != self._step:
            self._step, self._begun = step, now
        if now - self._said < LINE_SECONDS:
            return
        self._said = now
        rate = done / (now - self._begun) if now > self._begun else 0
        left = f", {(total - done) / rate:,.0f} s left" if rate else ""
        name = f"{self._title} {step}".strip()
        typer.echo(f"{name}: {done:,} of {total:,}, {rate:,.0f}/s{left}", err=True)


def _bar() -> Progress:
    """On standard error; what is printed to a terminal meanwhile goes above it."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        redirect_stdout=sys.stdout.isatty(),
        transient=True,
    )


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
