"""`twinlock replay`: the history, or a slice of it, to the terminal, a file or another topic."""

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, time
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from domain.times import moment
from twinlock.backend import envelope, side_topic
from twinlock.composition import Twinlock
from twinlock.outputs import Telling, whole_file
from twinlock.running import BROKEN_OFF, REFUSED, WRONG, fail, opened
from workers import slices
from workers.checkpoints import SUFFIX as CHECKPOINTS
from workers.cloud_events import Envelope, headers, serialized
from workers.member_states import SUFFIX as MEMBERS
from workers.ports import LogUnavailable, LogWriter, Outgoing, StoredRecord
from workers.slices import Slice, Unreadable

WINDOW = 500
DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
TOPIC = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}", re.ASCII)
"""What Kafka takes for a name."""
Shown = Callable[[StoredRecord], str]
First = Annotated[int, typer.Option("--from-position", min=1, help="The first position.")]
Last = Annotated[int | None, typer.Option("--to-position", min=1, help="The last position.")]
Since = Annotated[
    str | None, typer.Option(help="Not before this time (RFC 3339), or this day in UTC.")
]
Until = Annotated[
    str | None, typer.Option(help="Not after this time (RFC 3339), or this day in UTC.")
]
Types = Annotated[
    list[str] | None,
    typer.Option("--type", help="Of this type, such as mfa.bound; may be repeated."),
]
Member = Annotated[str | None, typer.Option(help="About this member.")]
Workspace = Annotated[str | None, typer.Option(help="About this workspace.")]
AsJson = Annotated[bool, typer.Option("--json", help="CloudEvents, one a line, as on Kafka.")]
Output = Annotated[Path | None, typer.Option(help="A file, which is whole or not there.")]
ToTopic = Annotated[str | None, typer.Option(help="Another topic; puts CloudEvents there.")]


def register(app: typer.Typer) -> None:
    """Add `replay`."""
    app.command()(replay)


def replay(
    first: First = 1,
    last: Last = None,
    since: Since = None,
    until: Until = None,
    types: Types = None,
    member: Member = None,
    workspace: Workspace = None,
    as_json: AsJson = False,
    output: Output = None,
    to_topic: ToTopic = None,
) -> None:
    """Read the history again; sends no mail and runs no command, wherever the output goes.

    Exit codes: 0 done; 1 an event cannot be read; 2 a wrong argument; 3 the database is away;
    4 the file or topic could not be finished (a file is then not there).
    """
    begin, end = since_until(since, until)
    wanted = Slice(
        first=first,
        last=last,
        since=begin,
        until=end,
        types=frozenset(types or ()),
        member_id=member,
        workspace_id=workspace,
    )
    if output and to_topic:
        fail("--output and --to-topic: give one of them", WRONG)
    with opened() as twinlock, ExitStack() as stack:
        connection = stack.enter_context(twinlock.connect())
        where = slices.span(connection, wanted)
        tell = stack.enter_context(Telling("replay"))
        read = slices.read(connection, wanted, where, partial(tell, ""))
        wrap = envelope(twinlock)
        if to_topic:
            _publish(twinlock, to_topic, read, wrap)
        else:
            _write(output, read, (lambda one: _cloud_event(wrap, one)) if as_json else _line)


def since_until(since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    """Both as times, in order; of a date, the first and the last moment of it in UTC."""
    first, last = _moment("--since", since, time.min), _moment("--until", until, time.max)
    if first and last and first > last:
        fail("--since: lies behind --until", WRONG)
    return first, last


def _moment(name: str, text: str | None, of_day: time) -> datetime | None:
    if text is None:
        return None
    try:
        if DATE.fullmatch(text):
            return datetime.combine(date.fromisoformat(text), of_day, UTC)
        return moment(text)
    except ValueError:
        fail(f"{name}: is neither a date nor an RFC 3339 time with an offset", WRONG)


def _write(output: Path | None, read: Iterable[StoredRecord], shown: Shown) -> None:
    try:
        if output is None:
            sys.stdout.writelines(map(shown, read))
            sys.stdout.flush()
            return
        with whole_file(output) as file:
            file.writelines(shown(one).encode() for one in read)
    except Unreadable as error:
        fail(f"{error}; nothing was written" if output else str(error), REFUSED)
    except BrokenPipeError:
        raise
    except OSError as error:
        fail(f"{output or 'output'}: {error.strerror}; nothing was written", BROKEN_OFF)


def _publish(twinlock: Twinlock, name: str, read: Iterator[StoredRecord], wrap: Envelope) -> None:
    """Put the slice on another topic; what is there when it breaks off is said."""
    writer, there = _writer(twinlock, name), "nothing was put"
    try:
        while window := list(islice(read, WINDOW)):
            writer.put([_outgoing(wrap, one) for one in window])
            there = f"{name} has everything up to position {window[-1].position}"
            there += "; go on behind it"
    except LogUnavailable as error:
        fail(f"{name}: {error}; {there}", BROKEN_OFF)
    except Unreadable as error:
        fail(f"{error}; {there}", REFUSED)
    finally:
        writer.close()


def _writer(twinlock: Twinlock, name: str) -> LogWriter:
    if not twinlock.settings.kafka:
        fail("TWINLOCK_KAFKA: is missing, so there is no other topic", WRONG)
    if not TOPIC.fullmatch(name):
        fail("--to-topic: is 1 to 249 of A-Za-z0-9._-, and neither . nor ..", WRONG)
    own = twinlock.settings.topic
    if name in (own, own + MEMBERS, own + CHECKPOINTS):
        fail(f"{name}: is Twinlock's own; name another topic", WRONG)
    try:
        return side_topic(twinlock.settings, name).writer()
    except LogUnavailable as error:
        fail(f"{name}: the broker did not answer ({error}); nothing was put", BROKEN_OFF)


def _outgoing(wrap: Envelope, one: StoredRecord) -> Outgoing:
    event = wrap.wrap(one)
    return Outgoing(one.stream, serialized(event), headers(event))


def _cloud_event(wrap: Envelope, one: StoredRecord) -> str:
    return serialized(wrap.wrap(one)).decode() + "\n"


def _line(one: StoredRecord) -> str:
    state = slices.state_of(one)
    actor: dict[str, Any] = state["actor"]
    who = f"{actor['kind']}:{actor['id']}" if actor["id"] else actor["kind"]
    data = " ".join(f"{name}={value}" for name, value in state["data"].items())
    where = f"{one.position:>8}  {state['time']}  {one.topic:<32} {state['subject']:<28}"
    return f"{where} {who}  {data}".rstrip() + "\n"
