"""The notary over a real store: what it signs, where it keeps it, and what it refuses to sign."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from domain.leaves import Content, leaf_bytes
from domain.merkle import hashes_of, inclusion
from domain.notes import BadNote, Checkpoint, Key, open_note, split_notes
from domain.tampering import (
    ALTERED,
    CUT_END,
    CUT_START,
    DELETED,
    FORGED,
    INSERTED,
    ROLLED_BACK,
    SWAPPED,
)
from tests.support.holding import proves_consistency, proves_inclusion
from tests.support.notarised import checked, do, history, newest, notarise, swap, told
from tests.support.rfc9162 import mth, root_from_path
from twinlock.adapters.kafka import KafkaLog
from twinlock.adapters.signing import verified
from twinlock.composition import Twinlock
from workers import checkpoints, tiles
from workers.checkpoints import FileWitness, TopicWitness, Witness
from workers.history_check import HistoryCheck
from workers.notary import Contradiction, Notary

pytestmark = pytest.mark.live


@contextmanager
def at_work(twinlock: Twinlock, *witnesses: Witness, seconds: float = 0.0) -> Iterator[None]:
    notary = Notary(twinlock.store, twinlock.connect, twinlock.notary, witnesses, seconds=seconds)
    stop = threading.Event()
    thread = threading.Thread(target=notary.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(60)
        assert not thread.is_alive()


def until(holds: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def data_of(twinlock: Twinlock) -> list[bytes]:
    records = twinlock.store.events(0, 10_000)
    return [leaf_bytes(r.position, Content(r.stream, r.version, r.topic, r.state)) for r in records]


def test_the_root_is_that_of_all_events_in_the_order_of_positions(twinlock: Twinlock) -> None:
    history(twinlock, 700)
    signed = notarise(twinlock)
    data = data_of(twinlock)
    assert (signed.size, signed.root) == (700, mth(data))
    assert signed.position == twinlock.store.events(0, 10_000)[-1].position > 700
    history(twinlock, 3, name="more")
    assert (notarise(twinlock).size, newest(twinlock).root) == (703, mth(data_of(twinlock)))


def test_proofs_out_of_tiles_are_those_of_the_rfc(twinlock: Twinlock) -> None:
    history(twinlock, 600)
    notarise(twinlock)
    data = data_of(twinlock)
    with twinlock.connect() as connection:
        for number, size in ((0, 600), (255, 257), (256, 600), (511, 512), (599, 600)):
            steps = hashes_of(
                inclusion(number, size), lambda wanted: tiles.nodes(connection, wanted)
            )
            leaf = mth(data[number : number + 1])
            assert root_from_path(leaf, number, size, steps) == mth(data[:size])
            assert proves_inclusion(leaf, number, size, steps, tiles.root(connection, size))


def test_positions_and_leaf_numbers_are_told_apart(twinlock: Twinlock) -> None:
    history(twinlock, 500)
    notarise(twinlock)
    records = twinlock.store.events(0, 10_000)
    with twinlock.connect() as connection:
        for number in (0, 199, 200, 255, 256, 499):
            position = records[number].position
            assert tiles.number_at(connection, position) == number
        assert tiles.number_at(connection, 201) is None
        assert tiles.number_at(connection, 10_000) is None


def test_notes_open_with_the_published_key_alone(twinlock: Twinlock) -> None:
    history(twinlock, 4)
    notarise(twinlock)
    with twinlock.connect() as connection:
        note = checkpoints.newest(connection)
    assert note is not None
    published = Key.parse(str(twinlock.notary.keys[0]))
    assert open_note(note, [published], verified) == newest(twinlock).text
    for forged in (note.replace("\n4\n", "\n5\n"), note.replace("— ", "- "), note[:-1], ""):
        with pytest.raises(BadNote):
            open_note(forged, [published], verified)
    stranger = Key(published.name, bytes(32))
    with pytest.raises(BadNote, match="no known key"):
        open_note(note, [stranger], verified)


def test_a_rotated_key_signs_though_the_clock_has_gone_back(twinlock: Twinlock) -> None:
    older = twinlock.notary.rotate(datetime.now(UTC) + timedelta(hours=1))
    key = twinlock.notary.rotate(datetime.now(UTC))
    assert twinlock.notary.keys[0] == key != older


def test_a_rotated_key_signs_and_the_older_one_still_verifies(twinlock: Twinlock) -> None:
    history(twinlock, 4)
    notarise(twinlock)
    key = twinlock.notary.rotate(datetime.now(UTC))
    assert twinlock.notary.keys[0] == key
    history(twinlock, 4, name="more")
    assert notarise(twinlock).size == 8
    assert checked(twinlock) == []


def test_a_notary_signs_what_was_appended_and_keeps_it_in_three_places(
    twinlock: Twinlock, tmp_path: Path
) -> None:
    history(twinlock, 300)
    file = FileWitness(tmp_path / "kept" / "checkpoints")
    with at_work(twinlock, file):
        until(lambda: (tmp_path / "kept" / "checkpoints").exists())
        history(twinlock, 2, name="later")
        until(lambda: newest(twinlock).size == 302)
        history(twinlock, 1, name="last")
    notes = split_notes((tmp_path / "kept" / "checkpoints").read_text())
    sizes = [Checkpoint.parse(twinlock.notary.open(note)).size for note in notes]
    assert sizes[-2:] == [302, 303]
    assert sizes == sorted(set(sizes))
    assert file.newest() == notes[-1]


@pytest.mark.kafka
def test_checkpoints_go_to_a_topic_of_their_own(twinlock: Twinlock, kafka: str, topic: str) -> None:
    witness = TopicWitness(KafkaLog(kafka, topic, partitions=1))
    history(twinlock, 10)
    with at_work(twinlock, witness):
        until(lambda: witness.newest())
        history(twinlock, 2, name="later")
    kept = witness.newest()
    assert kept is not None
    assert Checkpoint.parse(twinlock.notary.open(kept)).size == 12


def test_of_two_notaries_one_leads_and_the_other_takes_over(twinlock: Twinlock) -> None:
    history(twinlock, 10)
    with at_work(twinlock):
        with at_work(twinlock):
            until(lambda: signed(twinlock))
        history(twinlock, 2, name="later")
        until(lambda: newest(twinlock).size == 12)


def signed(twinlock: Twinlock) -> bool:
    return bool(twinlock.database.fetch("select 1 from checkpoints"))


@pytest.mark.parametrize("torn", [40, -30], ids=["in its text", "in its signature"])
def test_a_torn_note_in_the_file_is_passed_over(
    twinlock: Twinlock, tmp_path: Path, torn: int
) -> None:
    history(twinlock, 4)
    notarise(twinlock)
    path = tmp_path / "checkpoints"
    with at_work(twinlock, FileWitness(path)):
        until(lambda: path.exists())
    path.write_bytes(path.read_bytes() + path.read_bytes()[:torn])
    history(twinlock, 4, name="more")
    with at_work(twinlock, FileWitness(path)):
        until(lambda: newest(twinlock).size == 8)
    notes = split_notes(path.read_text())
    sizes = [Checkpoint.parse(twinlock.notary.open(note)).size for note in notes]
    assert sizes == [4, 8]


REPLACE = "replace(encode(state, 'escape'), 'host', 'hosT')::bytea"
COPY = """
insert into stored_events (notification_id, originator_id, originator_version, topic, state)
select {}, 'token/x', 1, topic, state from stored_events where notification_id = 1
"""
BOTH = """
with x as (update stored_events set state = 'x' where notification_id = 3)
update notary_tiles set hashes = overlay(hashes placing '\\x00' from 70 for 1)
where level = 0 and tile = 0
"""
CHANGES = {
    ALTERED: (
        f"update stored_events set state = {REPLACE} where notification_id = 300",
        [(ALTERED, 300, 300)],
    ),
    "altered a version": (
        "update stored_events set originator_version = 7 where notification_id = 300",
        [(ALTERED, 300, 300)],
    ),
    DELETED: (
        "delete from stored_events where notification_id in (290, 291)",
        [(DELETED, 290, 291)],
    ),
    INSERTED: (COPY.format(201), [(INSERTED, 201, 201)]),
    "inserted before all": (COPY.format(-1), [(INSERTED, -1, -1)]),
    "inserted beyond all": (COPY.format(10**12), [(INSERTED, 10**12, 10**12)]),
    CUT_START: (
        "delete from stored_events where notification_id <= 40",
        [(CUT_START, 1, 40)],
    ),
    CUT_END: (
        "delete from stored_events where notification_id >= 580",
        [(CUT_END, 580, 602)],
    ),
    "the tiles as well": (BOTH, [(ALTERED, 1, 257), (ALTERED, 3, 3)]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_behind_its_back_is_named(twinlock: Twinlock, name: str) -> None:
    sql, expected = CHANGES[name]
    history(twinlock, 600)
    notarise(twinlock)
    assert checked(twinlock) == []
    do(twinlock, sql.replace("%", "%%"))
    assert told(checked(twinlock)) == expected


def test_a_checkpoint_that_was_planted_is_told_of_and_handed_to_no_witness(
    twinlock: Twinlock, tmp_path: Path
) -> None:
    history(twinlock, 40)
    notarise(twinlock)
    file = FileWitness(tmp_path / "checkpoints")
    with at_work(twinlock, file):
        until(lambda: (tmp_path / "checkpoints").exists())
        history(twinlock, 40, name="more")
        until(lambda: newest(twinlock).size == 80)
    kept = (tmp_path / "checkpoints").read_text()
    for note in (split_notes(kept)[0], "no note at all"):
        do(twinlock, "insert into checkpoints values (%s, 1, now(), %s)", 1 << 40, note)
        with capture_logs() as logs, at_work(twinlock, file):
            until(lambda: any(each.get("kind") == FORGED for each in logs))
        assert (tmp_path / "checkpoints").read_text() == kept
        do(twinlock, "delete from checkpoints where size = %s", 1 << 40)
    assert checked(twinlock, split_notes(kept)) == []


def test_a_tree_that_lost_a_node_is_told_of_and_the_patrol_goes_on(twinlock: Twinlock) -> None:
    history(twinlock, 600)
    notarise(twinlock)
    do(twinlock, "delete from notary_tiles where level = 1")
    do(twinlock, f"update stored_events set state = {REPLACE} where notification_id = 3")
    history(twinlock, 2, name="more")
    with capture_logs() as logs, at_work(twinlock):
        until(lambda: any(each.get("position") == 3 for each in logs))
    assert {each["kind"] for each in logs if each["log_level"] == "error"} == {ALTERED}


def test_a_checkpoint_that_is_signed_during_a_check_is_no_rollback(twinlock: Twinlock) -> None:
    history(twinlock, 10)
    notarise(twinlock)
    with twinlock.connect() as connection:
        check = HistoryCheck(connection, twinlock.store, twinlock.notary.open)
        steps = check.steps()
        next(steps)
        history(twinlock, 10, name="more")
        notarise(twinlock)
        assert list(steps)
    assert (check.findings, check.edge.size) == ([], 20)


def test_two_events_that_changed_places_are_named(twinlock: Twinlock) -> None:
    history(twinlock, 600)
    notarise(twinlock)
    swap(twinlock, 20, 500)
    assert told(checked(twinlock)) == [(SWAPPED, 20, 500)]


def test_a_rewritten_tree_is_found_between_two_checkpoints(twinlock: Twinlock) -> None:
    history(twinlock, 100)
    good = notarise(twinlock)
    history(twinlock, 100, name="more")
    bad = notarise(twinlock)
    history(twinlock, 100, name="again")
    notarise(twinlock)
    do(twinlock, "update stored_events set state = 'x' where notification_id = 150")
    do(twinlock, "truncate notary_tiles")
    with pytest.raises(Contradiction) as caught:
        notarise(twinlock)
    assert caught.value.finding.kind == ROLLED_BACK
    assert told(checked(twinlock)) == [(ALTERED, good.position + 1, bad.position)]


def hashed(twinlock: Twinlock) -> int:
    with twinlock.connect() as connection:
        return tiles.edge(connection).position


def test_a_backup_is_told_from_the_history_by_what_was_kept_outside(
    twinlock: Twinlock, tmp_path: Path
) -> None:
    history(twinlock, 100)
    then = notarise(twinlock)
    path = tmp_path / "checkpoints"
    history(twinlock, 100, name="more")
    with at_work(twinlock, FileWitness(path)):
        until(lambda: path.exists())
    last = newest(twinlock)
    for table, column in (("stored_events", "notification_id"), ("checkpoints", "position")):
        do(twinlock, f"delete from {table} where {column} > %s", then.position)
    do(twinlock, "truncate notary_tiles")
    kept = FileWitness(path).newest()
    with capture_logs() as logs, at_work(twinlock, FileWitness(path)):
        until(lambda: [each for each in logs if each["log_level"] == "error"])
        for name in ("other", "last"):  # between the two it could have signed
            history(twinlock, 150, name=name)
            until(lambda: hashed(twinlock) == twinlock.store.events(0, 10_000)[-1].position)
    alarm = next(each for each in logs if each["log_level"] == "error")
    assert alarm["event"] == "notary.history_was_tampered_with"
    assert alarm["kind"] == ROLLED_BACK
    assert (alarm["position"], alarm["until"]) == (then.position + 1, last.position)
    assert newest(twinlock).size == 100
    assert FileWitness(path).newest() == kept
    assert kept is not None
    found = checked(twinlock, [kept])
    assert [each.kind for each in found] == [ROLLED_BACK]


def test_a_notary_signs_nothing_over_a_tampered_history_until_it_is_whole_again(
    twinlock: Twinlock,
) -> None:
    history(twinlock, 100)
    notarise(twinlock)
    kept = twinlock.database.fetch_one("select state from stored_events where notification_id=50")
    assert kept is not None
    do(twinlock, "update stored_events set state = 'x' where notification_id = 50")
    history(twinlock, 2, name="more")
    with capture_logs() as logs, at_work(twinlock):
        until(lambda: [each for each in logs if each["log_level"] == "error"])
        assert (logs[-1]["kind"], logs[-1]["position"]) == (ALTERED, 50)
        assert newest(twinlock).size == 100
        with twinlock.connect() as connection:
            until(lambda: told(checkpoints.remembered(connection)) == [(ALTERED, 50, 50)])
        do(twinlock, "update stored_events set state = %s where notification_id = 50", kept[0])
        until(lambda: newest(twinlock).size == 102)


def test_a_witness_that_is_away_holds_nothing_up(twinlock: Twinlock, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    history(twinlock, 10)
    with capture_logs() as logs, at_work(twinlock, FileWitness(blocked / "checkpoints")):
        until(lambda: signed(twinlock))
        until(lambda: [each for each in logs if each["event"] == "notary.witness_is_away"])
        blocked.unlink()
        until(lambda: (blocked / "checkpoints").exists())
    assert newest(twinlock).size == 10


def test_consistency_of_signed_checkpoints_holds(twinlock: Twinlock) -> None:
    from domain.merkle import consistency

    history(twinlock, 300)
    old = notarise(twinlock)
    history(twinlock, 300, name="more")
    new = notarise(twinlock)
    with twinlock.connect() as connection:
        steps = hashes_of(
            consistency(old.size, new.size), lambda wanted: tiles.nodes(connection, wanted)
        )
    assert proves_consistency(old.size, new.size, old.root, new.root, steps)
