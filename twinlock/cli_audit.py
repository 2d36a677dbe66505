"""`twinlock audit`: exports of the history, and the proof that nobody altered it."""

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from domain import stored
from domain.facts import wire_names
from domain.notes import BadNote, Key, split_notes
from domain.refusals import IllegalTransition
from domain.tampering import Finding
from projections.audit_trail import Filter
from twinlock.adapters.signing import verified
from twinlock.cli_replay import Member, Since, Until, Workspace, since_until
from twinlock.exporting import Exported, kept_outside, known, write_export
from twinlock.outputs import Telling
from twinlock.running import BROKEN_OFF, REFUSED, UNCHECKED, WRONG, AsJson, fail, opened
from workers import checkpoints
from workers.audit_export import NotInTheHistory
from workers.audit_verify import Report, verify_export
from workers.export_lines import Foreign, read
from workers.history_check import HistoryCheck
from workers.notary import hash_new
from workers.ports import Events, StoredRecord
from workers.tiles import MissingNodes

SHOWN = 50
audit = typer.Typer(help="Export the history, and prove it.", no_args_is_help=True)
File = Annotated[Path, typer.Argument(help="The export.")]
Kept = Annotated[list[Path] | None, typer.Option("--checkpoint", help="Checkpoints that you kept.")]
KeyFile = Annotated[
    Path | None, typer.Option("--key", help="The notary's keys as you were given them.")
]
Ticket = Annotated[str | None, typer.Option(help="About this ticket.")]
Actor = Annotated[str | None, typer.Option(help="Done by this actor, by id.")]


def register(app: typer.Typer) -> None:
    """Add `audit`."""
    app.add_typer(audit, name="audit")


@audit.command()
def export(
    file: File,
    workspace: Workspace = None,
    member: Member = None,
    ticket: Ticket = None,
    actor: Actor = None,
    type_: Annotated[
        str | None, typer.Option("--type", help="Of this type, such as mfa.bound.")
    ] = None,
    since: Since = None,
    until: Until = None,
    checkpoint: Kept = None,
) -> None:
    """Write the history, or what the filters let through, with everything that verifies it.

    The export itself becomes an event. Exit codes: 0 done; 1 done, but the history is not what
    was signed, or the filters have not seen all of it; 2 a wrong argument; 3 the database is away,
    or the audit trail is late; 4 the file could not be finished, and is not there.
    """
    if type_ is not None and type_ not in wire_names():
        fail(f"--type: {type_} is no event type like mfa.bound; docs/events.md lists them", WRONG)
    begin, end = since_until(since, until)
    wanted = Filter(
        workspace_id=workspace,
        member_id=member,
        ticket_id=ticket,
        actor=actor,
        type=type_,
        since=begin,
        until=end,
    )
    notes = _notes(checkpoint)
    with opened() as twinlock, Telling("export") as tell:
        try:
            done = write_export(twinlock, file, wanted, notes, tell)
        except OSError as error:
            fail(f"{file}: {error.strerror or 'cannot be written'}", BROKEN_OFF)
        except BadNote as bad:
            fail(f"--checkpoint: {bad}", WRONG)
        except (MissingNodes, NotInTheHistory) as error:
            fail(str(error), BROKEN_OFF)
        except IllegalTransition as nothing:
            fail(str(nothing.detail), BROKEN_OFF)
    _tell_export(file, done)
    raise typer.Exit(REFUSED if done.warnings else 0)


@audit.command()
def verify(
    file: File, key: KeyFile = None, checkpoint: Kept = None, as_json: AsJson = False
) -> None:
    """Verify an export without any database; say what is wrong, and where.

    Exit codes: 0 proven; 1 it is not what was signed; 2 no export, or a wrong argument; 5 nothing
    is wrong, but a checkpoint could not be compared.
    """
    keys, notes = _keys(key), _notes(checkpoint)
    try:
        with file.open("rb") as lines, Telling("verify") as tell:
            report = verify_export(
                read(lines),
                verified,
                keys=keys,
                outside=notes,
                tell=partial(tell, ""),
            )
    except Foreign as foreign:
        fail(f"{file}: {foreign}", WRONG)
    except OSError as error:
        fail(f"{file}: {error.strerror or 'cannot be read'}", WRONG)
    typer.echo(json.dumps(_said(report), indent=2) if as_json else _shown(report))
    raise typer.Exit(_code(report.findings, report.unchecked))


@audit.command()
def check(checkpoint: Kept = None, as_json: AsJson = False) -> None:
    """Compare the live history with its hashes and checkpoints, and with those kept outside.

    Exit codes: 0 it is what was signed; 1 it is not; 2 a wrong argument; 3 the database is away.
    """
    notes = _notes(checkpoint)
    with opened() as twinlock, ExitStack() as stack:
        connection = stack.enter_context(twinlock.connect())
        tell = stack.enter_context(Telling("check"))
        with suppress(MissingNodes):  # it is found below
            while hash_new(connection, twinlock.store):
                pass
        try:
            outside = [*known(twinlock, notes), *kept_outside(twinlock)]
        except BadNote as bad:
            fail(f"--checkpoint: {bad}", WRONG)
        source = _Looking(twinlock.store)
        one = HistoryCheck(connection, source, twinlock.notary.open, outside)
        for done in one.steps():
            tell("", done, one.edge.size)
        checkpoints.remember(connection, one.findings[:1000])
    if as_json:
        typer.echo(json.dumps([asdict(each) for each in one.findings], indent=2))
    else:
        what = f"{one.edge.size:,} events up to position {one.edge.position:,}"
        lines = [*_some(str, one.findings), *_unreadable(source.unreadable)]
        typer.echo("\n".join([*lines, _verdict(one.findings, what, whole=True)]))
    raise typer.Exit(_code(one.findings, ()))


@audit.command("key")
def key_(as_json: AsJson = False) -> None:
    """Print the keys that checkpoints and exports are verified with, the newest first."""
    with opened() as twinlock:
        keys = list(map(str, twinlock.notary.keys))
    typer.echo(json.dumps(keys, indent=2) if as_json else "\n".join(keys))


@audit.command("checkpoint")
def checkpoint_(as_json: AsJson = False) -> None:
    """Print the newest checkpoint: keep it, and later exports must agree with it."""
    with opened() as twinlock, twinlock.connect() as connection:
        note = checkpoints.newest(connection)
    if note is None:
        fail("nothing has been signed yet", REFUSED)
    typer.echo(json.dumps({"note": note}) if as_json else note, nl=as_json)


def _tell_export(file: Path, done: Exported) -> None:
    places = f", positions {done.first:,} to {done.last:,}" if done.count else ""
    typer.echo(f"{file}: {done.count:,} events{places}")
    signed = done.checkpoint
    typer.echo(f"checkpoint: {signed.size:,} events up to position {signed.position:,}")
    for warning in done.warnings:
        typer.echo(f"twinlock: {warning}", err=True)


class _Looking:
    """The store, and which of the events that it was asked for cannot be read."""

    def __init__(self, source: Events) -> None:
        self._source = source
        self.unreadable: list[int] = []

    def events(self, after: int, limit: int, until: int | None = None) -> Sequence[StoredRecord]:
        """As the store answers."""
        records = self._source.events(after, limit, until)
        self.unreadable += [r.position for r in records if not stored.readable(r.state)]
        return records


def _keys(path: Path | None) -> list[Key]:
    if path is None:
        return []
    lines = _text("--key", path).splitlines()
    try:
        keys = [Key.parse(line) for line in lines if line.strip()]
    except BadNote as bad:
        fail(f"--key: {bad}", WRONG)
    if not keys:
        fail("--key: there is no key in the file", WRONG)
    return keys


def _notes(paths: list[Path] | None) -> list[str]:
    found: list[str] = []
    for path in paths or ():
        notes = split_notes(_text("--checkpoint", path))
        if not notes:
            fail(f"--checkpoint: there is none in {path}", WRONG)
        found += notes
    return found


def _text(option: str, path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{option}: {getattr(error, 'strerror', None) or 'cannot be read'}", WRONG)


def _code(findings: list[Finding], unchecked: Any) -> int:
    return REFUSED if findings else UNCHECKED if unchecked else 0


def _said(report: Report) -> dict[str, Any]:
    manifest = report.manifest
    about = json.loads(manifest.text) if manifest else {}
    about.pop("chunks", None)
    return {
        "proven": not report.findings and not report.unchecked,
        "manifest": about or None,
        "events": report.events,
        "keys": [str(key) for key in report.keys],
        "keys_given": report.trusted,
        "findings": [asdict(each) for each in report.findings],
        "unchecked": report.unchecked,
        "unreadable": report.unreadable,
    }


def _shown(report: Report) -> str:
    lines = []
    if (manifest := report.manifest) is not None:
        wanted = " ".join(f"{name}={value}" for name, value in manifest.filter.items())
        lines += [
            f"export {manifest.export_id} of {manifest.origin}, made {manifest.made_at}",
            f"filter: {wanted or 'none, it is the whole history'}",
            f"checkpoint: {manifest.size:,} events up to position {manifest.position:,}",
            f"root: {manifest.root}; {report.checkpoints:,} checkpoints agree",
        ]
        hint = "" if report.trusted else "; out of the file itself: compare it with yours"
        lines += [f"key: {key.name}+{key.hash.hex()}{hint}" for key in report.keys]
    lines += _some(str, report.findings)
    lines += _unreadable(report.unreadable)
    lines += [f"not compared: {what}" for what in report.unchecked]
    whole = report.manifest is not None and not report.manifest.filter
    return "\n".join([*lines, _verdict(report.findings, f"{report.events:,} events", whole=whole)])


def _unreadable(positions: list[int]) -> list[str]:
    """Such an event is what it was when it was signed, or it stands among the findings, too."""
    return _some("unreadable: position {}".format, positions)


def _some(told: Callable[[Any], str], found: Sequence[Any]) -> list[str]:
    """The first ones, and how many more there are: there may be millions."""
    more = len(found) - SHOWN
    return [*map(told, found[:SHOWN]), *([f"and {more:,} more"] if more > 0 else [])]


def _verdict(findings: list[Finding], what: str, *, whole: bool) -> str:
    if findings:
        many = "s" if len(findings) > 1 else ""
        return f"NOT PROVEN: {len(findings):,} finding{many} in {what}"
    more = (
        ", and none missing" if whole else "; what the filter left out is for the exporter to say"
    )
    return f"proven: {what}, each as it was signed, in its place{more}"
