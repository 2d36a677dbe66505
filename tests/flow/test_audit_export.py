"""Exports of the history and their verification: whole ones, picked ones, and broken ones."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.audit_export import AuditExported
from domain.notes import Checkpoint, Key
from domain.seals import FORMAT
from domain.tampering import ALTERED, CUT_END, DELETED, FORGED, INSERTED, ROLLED_BACK, SWAPPED
from projections import audit_trail
from projections.audit_trail import Filter
from projections.models import MODELS
from tests.flow.conftest import Running
from tests.support.alterations import ALL, Alteration, Lines
from tests.support.built import some_settings
from tests.support.command_line import ROOT, run_twinlock
from tests.support.notarised import (
    checked,
    do,
    history,
    newest,
    notarise,
    swap,
    told,
    wait_until_behind,
)
from tests.support.parts import fresh_database
from twinlock.adapters.embedded import EmbeddedLog
from twinlock.adapters.mapper import decode
from twinlock.adapters.signing import verified
from twinlock.composition import Twinlock, build
from twinlock.exporting import Exported, write_export
from workers import checkpoints
from workers.audit_verify import Report, verify_export
from workers.cloud_events import LOG_KEY, Envelope
from workers.export_lines import Foreign

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def grown(module_database: str) -> Iterator[Twinlock]:
    """Seven hundred events under five checkpoints; nobody changes them."""
    built = build(some_settings(module_database))
    built.migrate()
    for part in range(5):
        history(built, 140, name=f"p{part}-")
        notarise(built)
    yield built
    built.close()


@pytest.fixture(scope="module")
def exported(grown: Twinlock, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The lines of an export of everything, with a checkpoint that somebody kept."""
    path = tmp_path_factory.mktemp("export") / "all.ndjson"
    export(grown, path, notes(grown)[1])
    return path.read_bytes().splitlines(keepends=True)


def export(twinlock: Twinlock, path: Path, *outside: str, **wanted: Any) -> Exported:
    return write_export(twinlock, path, Filter(**wanted), outside, lambda *_: None)


def verify(lines: list[bytes], *outside: str, keys: tuple[Key, ...] = ()) -> Report:
    return verify_export(lines, verified, keys=keys, outside=outside)


def notes(twinlock: Twinlock) -> list[str]:
    with twinlock.connect() as connection:
        return [note for _, note in checkpoints.behind(connection, 0)]


def test_an_export_of_everything_is_proven(grown: Twinlock, exported: list[bytes]) -> None:
    report = verify(exported, keys=tuple(grown.notary.keys))
    assert report.findings == []
    assert report.manifest is not None
    assert (report.manifest.count, report.manifest.size, report.events) == (700, 700, 700)
    assert report.checkpoints == 6
    assert report.trusted


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_an_alteration_is_named_with_its_place(
    grown: Twinlock, exported: list[bytes], case: Alteration
) -> None:
    lines = Lines(exported)
    expected = case.do(lines)
    report = verify(lines.all, keys=tuple(grown.notary.keys))
    assert set(expected) <= set(told(report.findings))
    assert len(report.findings) <= len(expected) + 1


def test_another_signer_is_not_believed(exported: list[bytes], database: str) -> None:
    other = build(some_settings(database))
    other.migrate()
    with closing(other):
        report = verify(exported, keys=tuple(other.notary.keys))
    assert {each.kind for each in report.findings} == {FORGED}
    assert "no known key" in report.findings[0].detail


def test_checkpoints_that_somebody_kept_must_agree(grown: Twinlock, exported: list[bytes]) -> None:
    assert verify(exported, *notes(grown)).findings == []
    foreign = notes(grown)[2].replace("\nposition ", "\nposition 1")
    assert [each.kind for each in verify(exported, foreign).findings] == [FORGED]


def test_a_picked_export_proves_each_event(grown: Twinlock, tmp_path: Path) -> None:
    path = tmp_path / "some.ndjson"
    with projected(grown):
        done = export(grown, path, type="token.revoked")
    lines = path.read_bytes().splitlines(keepends=True)
    report = verify(lines, *notes(grown))
    assert (done.count, report.events, report.findings, report.unchecked) == (350, 350, [], [])
    assert report.manifest is not None
    assert report.manifest.filter == {"type": "token.revoked"}
    for name in ("altered: one letter", "deleted: one event", "swapped: two lines of different"):
        case = next(each for each in ALL if each.name.startswith(name))
        edited = Lines(lines)
        if name.startswith("altered"):
            edited.change(300, b"revoked", b"revoKed")
            expected = [(ALTERED, edited.positions[300], edited.positions[300])]
        else:
            edited.events, edited.positions = edited.events[:350], edited.positions[:350]
            expected = case.do(edited) if "deleted" in name else _swapped(edited)
        assert told(verify(edited.all).findings) == expected


def _swapped(lines: Lines) -> list[tuple[str, int, int]]:
    lines.swap(12, 300)
    return [(SWAPPED, lines.positions[12], lines.positions[300])]


def test_an_export_without_rows_is_proven_too(grown: Twinlock, tmp_path: Path) -> None:
    path = tmp_path / "none.ndjson"
    with projected(grown):
        done = export(grown, path, member_id="nobody")
    report = verify(path.read_bytes().splitlines(keepends=True))
    assert (done.count, done.first, report.findings) == (0, None, [])


def test_every_export_is_an_event(grown: Twinlock, tmp_path: Path) -> None:
    export(grown, tmp_path / "x.ndjson")
    record = grown.store.events(0, 10_000)[-1]
    event = decode(record.stream, record.version, record.topic, record.state)
    assert isinstance(event.fact, AuditExported)
    assert record.stream.startswith("audit/")
    assert (event.fact.format, event.fact.filter, event.fact.first) == ("bundle", (), 1)
    assert event.actor.kind == "operator"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no audit export"),
        (b"\x00\xff\xfe binary", "no audit export"),
        (b'{"some": "json"}\n', "no audit export"),
        (b"[1]\n", "no audit export"),
        (b"position,time\n1,2\n", "no audit export"),
        (b'{"format":"twinlock-audit-export-9"}\n', "another version"),
        (b'{"format":"' + FORMAT.encode() + b'","manifest":{}}\n', "header cannot be read"),
    ],
)
def test_a_foreign_file_is_refused_with_the_place(content: bytes, said: str) -> None:
    with pytest.raises(Foreign, match=said) as caught:
        verify(content.splitlines(keepends=True))
    assert str(caught.value).startswith("line 1: ")


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (b'"origin":"', b'"origin":"\\ud800'),
        (b'"filter":{', b'"filter":{"\\ud800":"x"'),
        (b'"keys":["', b'"keys":["\\ud800'),
        (b'"first":1,', b'"first":"x",'),
        (b'"first":1,', b'"first":true,'),
        (b'"first":1,', b'"first":1,"first":1,'),
        (b'"size":', b'"size":' + b"9" * 40),
        (b'"export_id":', b'"export_id":1,"was":'),
        (b'{"format"', b'{"approved_by":"x","format"'),
        (b"\n", b""),
    ],
)
def test_a_header_that_was_edited_is_refused(exported: list[bytes], was: bytes, now: bytes) -> None:
    assert was in exported[0]
    with pytest.raises(Foreign):
        verify([exported[0].replace(was, now), *exported[1:]])


def test_a_line_that_comes_in_pieces_is_none_of_an_export(exported: list[bytes]) -> None:
    lines = Lines(exported)
    at, event = lines.events[4], exported[lines.events[4]]
    forged = event.replace(b"host", b"hosT").rstrip(b"\n")
    report = verify([*exported[:at], forged, event, *exported[at + 1 :]])
    place = lines.positions[4]
    assert told(report.findings) == [(ALTERED, place, place)]
    assert f"line {at + 1} cannot be read" in report.findings[0].detail
    assert verify([*exported, forged]).findings


def test_lines_in_another_order_are_no_proof(exported: list[bytes]) -> None:
    report = verify([exported[0], *reversed(exported[1:])])
    assert report.findings


class TestDatabase:
    """What was done to the rows before the export."""

    def test_an_altered_row(self, twinlock: Twinlock, tmp_path: Path) -> None:
        self.grow(twinlock)
        do(twinlock, "update stored_events set state = '\\xff' where notification_id = 300")
        assert self.verified(twinlock, tmp_path) == [(ALTERED, 300, 300)]

    def test_a_deleted_row(self, twinlock: Twinlock, tmp_path: Path) -> None:
        self.grow(twinlock)
        do(twinlock, "delete from stored_events where notification_id = 300")
        assert self.verified(twinlock, tmp_path) == [(DELETED, 300, 300)]

    def test_an_inserted_row(self, twinlock: Twinlock, tmp_path: Path) -> None:
        self.grow(twinlock)
        do(
            twinlock,
            "insert into stored_events select 'token/forged', 1, topic, state, 201"
            " from stored_events where notification_id = 1",
        )
        assert self.verified(twinlock, tmp_path) == [(INSERTED, 201, 201)]

    def test_two_rows_that_changed_places(self, twinlock: Twinlock, tmp_path: Path) -> None:
        self.grow(twinlock)
        swap(twinlock, 20, 300)
        assert self.verified(twinlock, tmp_path) == [(SWAPPED, 20, 300)]

    def test_rows_cut_off_at_the_end(self, twinlock: Twinlock, tmp_path: Path) -> None:
        self.grow(twinlock)
        do(twinlock, "delete from stored_events where notification_id > 380")
        assert self.verified(twinlock, tmp_path) == [(CUT_END, 381, 401)]

    def test_rows_and_tree_written_anew(self, twinlock: Twinlock, tmp_path: Path) -> None:
        """Whoever rewrites the tree as well can't sign: the place lies between checkpoints."""
        history(twinlock, 100)
        good = notarise(twinlock)
        history(twinlock, 100, name="more")
        bad = notarise(twinlock)
        do(twinlock, "update stored_events set state = 'x' where notification_id = 150")
        do(twinlock, "truncate notary_tiles")
        expected = [(ALTERED, good.position + 1, bad.position)]
        assert self.verified(twinlock, tmp_path) == expected

    def grow(self, twinlock: Twinlock) -> None:
        history(twinlock, 400)
        notarise(twinlock)

    def verified(self, twinlock: Twinlock, tmp_path: Path) -> list[tuple[str, int, int]]:
        done = export(twinlock, tmp_path / "x.ndjson")
        assert done.warnings
        assert told(checked(twinlock))
        return told(verify((tmp_path / "x.ndjson").read_bytes().splitlines(True)).findings)


def test_a_restored_backup_is_told_by_a_checkpoint_that_somebody_kept(
    postgres_server: str, tmp_path: Path
) -> None:
    with fresh_database(postgres_server) as uri:
        settings = some_settings(uri)
        with closing(build(settings)) as before:
            before.migrate()
            history(before, 100)
            then = notarise(before)
        with fresh_database(postgres_server, template=uri) as later_uri:
            later = settings.model_copy(update={"database": type(settings.database)(later_uri)})
            with closing(build(later)) as after:
                history(after, 100, name="more")
                kept = notarise(after)
                note = notes(after)[-1]
        wait_until_behind(kept)
        with closing(build(settings)) as restored:
            export(restored, tmp_path / "short.ndjson")
            export(restored, tmp_path / "kept.ndjson", note)
            history(restored, 300, name="other")
            notarise(restored)
            export(restored, tmp_path / "grown.ndjson")
    for name in ("short", "grown"):
        lines = (tmp_path / f"{name}.ndjson").read_bytes().splitlines(keepends=True)
        assert verify(lines).findings == []
        expected = [(ROLLED_BACK, then.position + 1, kept.position)]
        assert told(verify(lines, note).findings) == expected
    lines = (tmp_path / "kept.ndjson").read_bytes().splitlines(keepends=True)
    assert [kind for kind, *_ in told(verify(lines).findings)] == [ROLLED_BACK]
    stripped = [line for line in lines if not line.startswith(b'{"kept"')]
    assert [kind for kind, *_ in told(verify(stripped).findings)] == [FORGED]


def test_a_checkpoint_that_was_signed_during_an_export_is_newer(
    twinlock: Twinlock, tmp_path: Path
) -> None:
    """The more so where the export takes long."""
    history(twinlock, 20)

    def meanwhile(*_: Any) -> None:
        wait_until_behind(newest(twinlock))
        history(twinlock, 20, name="more")
        notarise(twinlock)
        wait_until_behind(newest(twinlock))

    path = tmp_path / "x.ndjson"
    write_export(twinlock, path, Filter(), (), meanwhile)
    report = verify(path.read_bytes().splitlines(keepends=True), *notes(twinlock))
    assert report.findings == []
    assert "newer than the export" in report.unchecked[0]


def test_a_checkpoint_of_the_same_second_is_newer(twinlock: Twinlock, tmp_path: Path) -> None:
    history(twinlock, 20)
    path = tmp_path / "x.ndjson"
    export(twinlock, path)
    lines = path.read_bytes().splitlines(keepends=True)
    made = verify(lines).manifest
    assert made is not None

    def ahead(at: datetime) -> Report:
        signed = Checkpoint(origin=made.origin, size=60, root=bytes(32), position=70, made_at=at)
        return verify(lines, twinlock.notary.sign(signed.text))

    assert ahead(made.at).findings == []
    assert ahead(made.at).unchecked
    before = ahead(made.at - timedelta(seconds=1))
    assert [each.kind for each in before.findings] == [ROLLED_BACK]


def test_a_newer_checkpoint_is_not_compared_with_an_older_export(
    twinlock: Twinlock, tmp_path: Path
) -> None:
    history(twinlock, 20)
    export(twinlock, tmp_path / "x.ndjson")
    lines = (tmp_path / "x.ndjson").read_bytes().splitlines(keepends=True)
    later = newest(twinlock).made_at
    history(twinlock, 20, name="more")
    ahead = Checkpoint(
        origin=twinlock.notary.origin,
        size=60,
        root=bytes(32),
        position=70,
        made_at=later + timedelta(minutes=1),
    )
    report = verify(lines, twinlock.notary.sign(ahead.text))
    assert report.findings == []
    assert "newer than the export" in report.unchecked[0]


def test_the_command_line_says_it(grown: Twinlock, exported: list[bytes], tmp_path: Path) -> None:
    good, bad, key = tmp_path / "good.ndjson", tmp_path / "bad.ndjson", tmp_path / "key"
    said = run_twinlock(grown, "audit", "export", str(good))
    assert said.code == 0
    assert said.out.startswith(f"{good}: ")
    key.write_text(run_twinlock(grown, "audit", "key").out)
    as_json = json.loads(run_twinlock(grown, "audit", "key", "--json").out)
    assert as_json == key.read_text().splitlines()
    note = run_twinlock(grown, "audit", "checkpoint").out
    assert json.loads(run_twinlock(grown, "audit", "checkpoint", "--json").out) == {"note": note}
    said = run_twinlock(grown, "audit", "verify", str(good), "--key", str(key))
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[-1].startswith("proven: ")
    lines = Lines(good.read_bytes().splitlines(keepends=True))
    lines.change(300, b"host", b"hosT")
    lines.drop(5)
    bad.write_bytes(b"".join(lines.all))
    said = run_twinlock(grown, "audit", "verify", str(bad))
    assert said.code == 1
    place = lines.positions[300]
    assert f"deleted: position {lines.positions[5]}" in said.out
    assert f"altered: position {place} (line " in said.out
    assert "\x1b" not in said.out + said.err
    as_json = run_twinlock(grown, "audit", "verify", str(bad), "--json")
    found = json.loads(as_json.out)
    assert (as_json.code, found["proven"], len(found["findings"])) == (1, False, 2)
    for wrong in ("/nowhere", str(key)):
        said = run_twinlock(grown, "audit", "verify", wrong)
        assert (said.code, said.err.count("\n")) == (2, 1)


def test_a_disk_that_refuses_leaves_nothing(grown: Twinlock, tmp_path: Path) -> None:
    said = run_twinlock(grown, "audit", "export", str(tmp_path / "nowhere" / "x"))
    assert said.code == 4
    target = tmp_path / "folder"
    target.mkdir()
    said = run_twinlock(grown, "audit", "export", str(target))
    assert said.code == 4
    assert list(tmp_path.rglob("*")) == [target]


def test_the_live_history_is_checked(twinlock: Twinlock, tmp_path: Path) -> None:
    history(twinlock, 20)
    notarise(twinlock)
    kept = tmp_path / "checkpoint"
    kept.write_text(run_twinlock(twinlock, "audit", "checkpoint").out)
    assert run_twinlock(twinlock, "audit", "check", "--checkpoint", str(kept)).code == 0
    do(twinlock, "delete from stored_events where notification_id = 7")
    said = run_twinlock(twinlock, "audit", "check", "--json")
    assert (said.code, json.loads(said.out)[0]["position"]) == (1, 7)


@contextmanager
def projected(twinlock: Twinlock) -> Iterator[None]:
    """The audit trail is kept meanwhile."""
    wrap = Envelope("http://127.0.0.1:8080", twinlock.keys.derived(LOG_KEY))
    model = next(each for each in MODELS if each.key == audit_trail.KEY)
    log = EmbeddedLog(twinlock.store, wrap)
    running = Running(twinlock, log, wrap)
    running.project(model)
    try:
        yield
    finally:
        running.stop()


@pytest.mark.parametrize("picked", [False, True], ids=["everything", "picked"])
def test_an_export_is_verified_without_us(grown: Twinlock, tmp_path: Path, picked: bool) -> None:
    path, key = tmp_path / "x.ndjson", str(grown.notary.keys[0])
    with projected(grown):
        export(grown, path, notes(grown)[1], **({"type": "token.revoked"} if picked else {}))

    assert checker(path, key) == ""
    whole = path.read_bytes().splitlines(keepends=True)
    lines = Lines(whole)
    lines.change(30, b"operator", b"Operator")
    path.write_bytes(b"".join(lines.all))
    assert f"event {lines.positions[30]} is not what was sealed" in checker(path, key)
    if not picked:
        for case in ALL:
            lines = Lines(whole)
            case.do(lines)
            path.write_bytes(b"".join(lines.all))
            assert "NOT PROVEN" in checker(path, key), case.name


def checker(path: Path, keys: str) -> str:
    """What examples/check_export.py, which shares no line with the application, has against it."""
    program = str(ROOT / "examples/check_export.py")
    command = [sys.executable, "-I", "-S", program, str(path), keys]
    return str(subprocess.run(command, capture_output=True, text=True).stderr)


def test_after_a_rotation_an_export_is_verified_with_both_keys(
    twinlock: Twinlock, tmp_path: Path
) -> None:
    history(twinlock, 30)
    notarise(twinlock)
    old = str(twinlock.notary.keys[0])
    twinlock.notary.rotate(datetime.now(UTC))
    history(twinlock, 30, name="later")
    path = tmp_path / "x.ndjson"
    export(twinlock, path)
    both = "\n".join(map(str, twinlock.notary.keys))
    assert checker(path, both) == ""
    assert "with another key" in checker(path, str(twinlock.notary.keys[0]))
    assert "with another key" in checker(path, old)
    assert verify(path.read_bytes().splitlines(keepends=True), keys=()).findings == []


def test_the_verdict_on_a_part_leaves_the_filter_to_the_exporter(
    grown: Twinlock, tmp_path: Path
) -> None:
    path = tmp_path / "x.ndjson"
    with projected(grown):
        export(grown, path, type="token.revoked")
    said = run_twinlock(grown, "audit", "verify", str(path)).out
    assert said.endswith("in its place; what the filter left out is for the exporter to say\n")


def test_parked_events_that_no_filter_saw_are_told(twinlock: Twinlock, tmp_path: Path) -> None:
    history(twinlock, 12)
    do(twinlock, "update stored_events set topic = 'of.tomorrow.v1' where notification_id = 5")
    notarise(twinlock)
    with projected(twinlock):
        picked = export(twinlock, tmp_path / "x.ndjson", type="token.revoked")
        whole = export(twinlock, tmp_path / "y.ndjson")
    (warning,) = picked.warnings
    assert "no filter saw them, among them those at 5" in warning
    assert list(whole.warnings) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--type", "mfa.unbund"], "mfa.unbund is no event type"),
        (["--type", "mfa.unbound.v1"], "mfa.unbound.v1 is no event type like mfa.bound"),
        (["--since", "2026-05-02", "--until", "2026-05-01"], "--since: lies behind --until"),
    ],
)
def test_a_filter_that_nothing_passes_is_refused(
    grown: Twinlock, tmp_path: Path, options: list[str], words: str
) -> None:
    path = tmp_path / "x.ndjson"
    said = run_twinlock(grown, "audit", "export", str(path), *options)
    assert (said.code, words in said.err, path.exists()) == (2, True, False)


def test_without_its_tree_an_export_is_not_there(twinlock: Twinlock, tmp_path: Path) -> None:
    history(twinlock, 300)
    notarise(twinlock)
    do(twinlock, "delete from notary_tiles where level = 0 and tile = 0")
    path = tmp_path / "x.ndjson"
    said = run_twinlock(twinlock, "audit", "export", str(path))
    assert (said.code, path.exists()) == (4, False)
