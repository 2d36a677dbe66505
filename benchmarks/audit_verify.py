"""`make audit-proof`: an export of many events, every alteration of it, and what is said."""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from domain.notes import Key
from domain.tampering import ALTERED, CUT_END, DELETED, INSERTED, ROLLED_BACK, SWAPPED, Finding
from projections.audit_trail import Filter
from tests.support.alterations import ALL, Lines, Told
from tests.support.built import some_settings
from tests.support.notarised import do, history, newest, notarise, swap, told, wait_until_behind
from tests.support.parts import fresh_database
from twinlock.adapters.signing import verified
from twinlock.composition import Twinlock, build
from twinlock.dev.postgres import Postgres
from twinlock.exporting import write_export
from twinlock.settings import Settings
from workers import checkpoints
from workers.audit_verify import Report, verify_export
from workers.export_lines import read

CHECKPOINTS = 20
CHANGED = "replace(encode(state, 'escape'), 'operator', 'operatoR')::bytea"
EDIT = f"update stored_events set state = {CHANGED}"  # noqa: S608 - our own copy
COPY = "insert into stored_events select 'token/forged', 1, topic, state, %s from stored_events"


@dataclass
class Row:
    """A line of the table."""

    name: str
    found: bool
    said: list[Finding]
    seconds: float

    def __str__(self) -> str:
        shown = "<br>".join(str(each) for each in self.said[:2]) or "proven"
        found = "yes" if self.found else "NO"
        return f"| {self.name} | {found} | {shown} | {self.seconds:.1f} s |"


def main() -> None:
    """Print the table; status 1 where anything was not found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    events = parser.parse_args().events
    with tempfile.TemporaryDirectory() as folder, cluster(Path(folder)) as uri:
        rows = list(measured(uri, Path(folder), events))
    print("\n| what was done | found | what is said | CPU time |\n|---|---|---|---|")
    print("\n".join(map(str, rows)))
    sys.exit(0 if all(row.found for row in rows) else 1)


@contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """A PostgreSQL of its own."""
    folder.chmod(0o711)
    server = Postgres(folder / "postgres")
    server.start()
    try:
        yield server.uri
    finally:
        server.stop()


def measured(cluster_uri: str, folder: Path, events: int) -> Iterator[Row]:
    """First the file's alterations, then those of the database, then the backup."""
    with fresh_database(cluster_uri) as uri:
        settings = some_settings(uri)
        with closing(build(settings)) as twinlock:
            twinlock.migrate()
            grow(twinlock, events)
            path = folder / "all.ndjson"
            begun, cpu = time.perf_counter(), time.process_time()
            export(twinlock, path, last(twinlock))
            tell(f"export {events:,} events", events, begun, cpu)
            notarise(twinlock)
            keys = list(twinlock.notary.keys)
            yield from of_file(path, keys)
        for name, harm, expected in harms(events):
            with fresh_database(cluster_uri, template=uri) as copy:
                yield of_database(build_on(settings, copy), folder, name, harm, expected)
        yield from of_backup(cluster_uri, uri, settings, folder)


def grow(twinlock: Twinlock, events: int) -> None:
    """Append, hash and sign."""
    begun, cpu = time.perf_counter(), time.process_time()
    for number in range(CHECKPOINTS):
        grow_by(twinlock, events // CHECKPOINTS, number)
    tell(f"append {events:,} events, hash them, sign {CHECKPOINTS} checkpoints", events, begun, cpu)


def grow_by(twinlock: Twinlock, part: int, number: int) -> None:
    """Some more events and a checkpoint."""
    history(twinlock, part, name=f"p{number}-")
    notarise(twinlock)


def export(twinlock: Twinlock, path: Path, *outside: str) -> list[str]:
    """Export everything; answers the warnings."""
    return list(write_export(twinlock, path, Filter(), outside, lambda *_: None).warnings)


def last(twinlock: Twinlock) -> str:
    """The newest checkpoint as a note."""
    with twinlock.connect() as connection:
        return checkpoints.newest(connection) or ""


def verify(path: Path, keys: list[Key], *outside: str) -> Report:
    """As `twinlock audit verify` does."""
    with path.open("rb") as file:
        return verify_export(read(file), verified, keys=keys, outside=outside)


def of_file(path: Path, keys: list[Key]) -> Iterator[Row]:
    """What is done to the export itself."""
    begun, cpu = time.perf_counter(), time.process_time()
    report = verify(path, keys)
    tell(f"verify {report.events:,} events", report.events, begun, cpu)
    print(f"the export has {path.stat().st_size / 1e6:.0f} MB", flush=True)
    yield Row("nothing", not report.findings, report.findings, time.process_time() - cpu)
    whole = path.read_bytes().splitlines(keepends=True)
    for case in ALL:
        lines = Lines(whole)
        expected = case.do(lines)
        altered = path.with_name("altered.ndjson")
        altered.write_bytes(b"".join(lines.all))
        yield judged(case.name, expected, altered, keys)


def judged(name: str, expected: Told, path: Path, keys: list[Key], *outside: str) -> Row:
    """One line of the table."""
    begun = time.process_time()
    found = verify(path, keys, *outside).findings
    spent = time.process_time() - begun
    print(f"verified: {name}", flush=True)
    return Row(name, set(expected) <= set(told(found)), found, spent)


Harm = Callable[[Twinlock], object]


def harms(events: int) -> list[tuple[str, Harm, Callable[[list[int]], Told]]]:
    """What a database administrator may do, by the number of an event."""
    a, b = events // 3, events // 2

    def one(kind: str, at: int, until: int | None = None) -> Callable[[list[int]], Told]:
        return lambda places: [(kind, places[at], places[at if until is None else until])]

    def at(twinlock: Twinlock, number: int) -> int:
        return places(twinlock)[number]

    def hole(found: list[int]) -> int:
        return next(p + 1 for n, p in enumerate(found[:-1]) if found[n + 1] > p + 1)

    def run(sql: str, number: int) -> Harm:
        return lambda t: do(t, f"{sql} where notification_id = %s", at(t, number))

    def cut(t: Twinlock) -> None:
        do(t, "delete from stored_events where notification_id >= %s", at(t, events - 10))

    def rewrite(t: Twinlock) -> None:
        do(t, f"{EDIT} where notification_id = %s", at(t, a))
        do(t, "truncate notary_tiles")

    def between(found: list[int]) -> Told:
        step = events // CHECKPOINTS
        end = (a // step + 1) * step
        return [(ALTERED, found[end - step - 1] + 1, found[end - 1])]

    return [
        ("database: a row altered", run(EDIT, a), one(ALTERED, a)),
        ("database: a row deleted", run("delete from stored_events", a), one(DELETED, a)),
        (
            "database: a row inserted",
            lambda t: do(t, f"{COPY} where notification_id = %s", hole(places(t)), places(t)[0]),
            lambda found: [(INSERTED, hole(found), hole(found))],
        ),
        (
            "database: two rows swapped",
            lambda t: swap(t, at(t, a), at(t, b)),
            one(SWAPPED, a, b),
        ),
        (
            "database: the last rows cut off",
            cut,
            lambda found: [(CUT_END, found[events - 10], found[-1])],
        ),
        ("database: a row altered, the whole tree rewritten to match", rewrite, between),
    ]


def places(twinlock: Twinlock) -> list[int]:
    """The positions of all events."""
    sql = "select notification_id from stored_events order by 1"
    with twinlock.connect() as connection:
        return [row[0] for row in connection.execute(sql)]


def of_database(
    twinlock: Twinlock, folder: Path, name: str, harm: Harm, expected: Callable[[list[int]], Told]
) -> Row:
    """Harm it, export it, verify the export."""
    with closing(twinlock):
        wanted = expected(places(twinlock))
        harm(twinlock)
        path = folder / "harmed.ndjson"
        export(twinlock, path)
        return judged(name, wanted, path, list(twinlock.notary.keys))


def of_backup(cluster_uri: str, uri: str, settings: Settings, folder: Path) -> Iterator[Row]:
    """Restore what was before, against a checkpoint that was kept."""
    with (
        fresh_database(cluster_uri, template=uri) as later,
        closing(build_on(settings, later)) as after,
    ):
        grow_by(after, 1000, 99)
        kept, note = newest(after), last(after)
    wait_until_behind(kept)
    with closing(build_on(settings, uri)) as restored:
        then = newest(restored)
        for name, more in (("", 0), (", and grown again since", 3000)):
            if more:
                grow_by(restored, more, 100)
            path = folder / "restored.ndjson"
            export(restored, path)
            expected = [(ROLLED_BACK, then.position + 1, kept.position)]
            title = f"rolled back to a backup{name}; a checkpoint was kept"
            yield judged(title, expected, path, list(restored.notary.keys), note)


def build_on(settings: Settings, uri: str) -> Twinlock:
    """The same installation on a copy of its database."""
    return build(settings.model_copy(update={"database": SecretStr(uri)}))


def tell(what: str, count: int, begun: float, cpu: float) -> None:
    """Say how long it took, by the clock and in time of this process on a processor."""
    wall, worked = time.perf_counter() - begun, time.process_time() - cpu
    print(
        f"{what}: {wall:.1f} s, {count / wall:,.0f}/s;"
        f" {worked:.1f} s of CPU time, {count / worked:,.0f}/s",
        flush=True,
    )


if __name__ == "__main__":
    main()
