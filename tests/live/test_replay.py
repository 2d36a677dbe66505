"""`twinlock replay`, `rebuild` and `parked`, as they are typed."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import typer
from kafka import KafkaConsumer

from domain.member_mfa import MemberMFA
from domain.unbind_ticket import TicketSubmitted, UnbindTicket
from tests.flow.histories import a_workspace, append, bound, joined
from tests.support.command_line import ROOT, environment, run_twinlock
from twinlock import cli_replay
from twinlock.composition import Twinlock
from workers import slices
from workers.cloud_events import LOG_KEY, Envelope, serialized
from workers.ports import LogUnavailable, Outgoing
from workers.slices import Slice

pytestmark = pytest.mark.live


@pytest.fixture
def history(twinlock: Twinlock) -> int:
    a_workspace(twinlock, ["m1", "m2"])
    submitted = TicketSubmitted(
        member_id="m1", binding_id="b1", first_factor_proven=True, approvals_needed=1
    )
    append(twinlock, UnbindTicket, "t1", submitted, minutes=30)
    return append(twinlock, MemberMFA, "m5", *joined("m5", "w2"), bound(), minutes=60)


def positions(out: str) -> list[int]:
    return [int(line.split()[0]) for line in out.splitlines()]


def test_the_history_is_printed_in_order(twinlock: Twinlock, history: int) -> None:
    said = run_twinlock(twinlock, "replay")
    assert (said.code, said.err) == (0, "")
    assert positions(said.out) == list(range(1, history + 1))
    assert "workspace.created.v1" in said.out.splitlines()[0]
    assert "\x1b" not in said.out


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--from-position", "3", "--to-position", "4"], [3, 4]),
        (["--type", "mfa.bound"], [5, 11]),
        (["--type", "mfa.bound", "--type", "workspace.created"], [1, 5, 11]),
        (["--member", "m1"], [3, 4, 5, 8]),
        (["--workspace", "w2"], [10]),
        (["--since", "2026-05-01T09:30:00Z"], [8, 9, 10, 11]),
        (["--since", "2026-05-01T09:30:00Z", "--until", "2026-05-01T09:45:00Z"], [8]),
        (["--since", "2026-05-01T11:30:00+02:00", "--until", "2026-05-01"], [8, 9, 10, 11]),
        (["--since", "2026-05-02"], []),
        (["--until", "2026-04-30"], []),
    ],
)
def test_a_slice_is_bounded_and_filtered(
    twinlock: Twinlock, history: int, options: list[str], expected: list[int]
) -> None:
    said = run_twinlock(twinlock, "replay", *options)
    assert (said.code, positions(said.out)) == (0, expected)


def test_as_json_it_is_what_kafka_carries(twinlock: Twinlock, history: int) -> None:
    said = run_twinlock(twinlock, "replay", "--json")
    wrap = Envelope(twinlock.settings.public_url, twinlock.keys.derived(LOG_KEY))
    records = twinlock.store.events(0, 100)
    assert said.out.encode().splitlines() == [serialized(wrap.wrap(each)) for each in records]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--from-position", "999"], "Position 999 lies beyond the end, which is 11"),
        (["--to-position", "999"], "Position 999 lies beyond the end, which is 11"),
        (["--from-position", "5", "--to-position", "4"], "first position lies behind the last"),
        (["--type", "mfa.bond"], "mfa.bond is no event type"),
        (["--type", "mfa.bound.v1"], "mfa.bound.v1 is no event type like mfa.bound"),
        (["--since", "yesterday"], "--since: is neither a date nor an RFC 3339 time"),
        (["--since", "2026-05-01T09:30:00"], "--since: is neither a date nor an RFC 3339 time"),
        (["--until", "2026-05-32"], "--until: is neither a date nor an RFC 3339 time"),
        (["--since", "2026-05-02", "--until", "2026-05-01"], "--since: lies behind --until"),
        (["--to-topic", "copy"], "TWINLOCK_KAFKA: is missing"),
        (["--to-topic", "copy", "--output", "x"], "give one of them"),
    ],
)
def test_what_cannot_be_replayed_is_said_in_one_line(
    twinlock: Twinlock, history: int, options: list[str], words: str
) -> None:
    said = run_twinlock(twinlock, "replay", *options)
    assert (said.code, said.out) == (2, "")
    assert words in said.err
    assert said.err.count("\n") == 1


def test_a_file_is_whole_or_not_there(twinlock: Twinlock, history: int, tmp_path: Path) -> None:
    target = tmp_path / "history.ndjson"
    assert run_twinlock(twinlock, "replay", "--json", "--output", str(target)).code == 0
    assert len([json.loads(line) for line in target.read_text().splitlines()]) == history
    with twinlock.connect() as connection:
        connection.execute("UPDATE stored_events SET state = 'x' WHERE notification_id = 7")
    broken = tmp_path / "broken.ndjson"
    said = run_twinlock(twinlock, "replay", "--json", "--output", str(broken))
    assert said.code == 1
    assert "the event at position 7 cannot be read; nothing was written" in said.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["history.ndjson"]


def test_a_full_disk_leaves_nothing(twinlock: Twinlock, history: int) -> None:
    said = run_twinlock(twinlock, "replay", "--output", "/proc/history")
    assert said.code == 4
    assert "nothing was written" in said.err


@pytest.mark.kafka
def test_a_slice_goes_to_another_topic(
    twinlock: Twinlock, history: int, kafka: str, topic: str
) -> None:
    copied = f"{topic}.copy"
    given = {"KAFKA": kafka, "TOPIC": topic}
    said = run_twinlock(twinlock, "replay", "--type", "mfa.bound", "--to-topic", copied, **given)
    assert (said.code, said.err) == (0, "")
    consumer = KafkaConsumer(
        copied,
        bootstrap_servers=kafka,
        auto_offset_reset="earliest",
        group_id=None,
        consumer_timeout_ms=3000,
    )
    found = [(record.key, json.loads(record.value)["id"]) for record in consumer]
    consumer.close()
    assert sorted(found) == [(b"member/m1", "5"), (b"member/m5", "11")]
    own = run_twinlock(twinlock, "replay", "--to-topic", topic, **given)
    assert (own.code, "Twinlock's own" in own.err) == (2, True)


def test_a_broker_that_is_away_is_said(twinlock: Twinlock, history: int) -> None:
    said = run_twinlock(twinlock, "replay", "--to-topic", "copy", KAFKA="127.0.0.1:1")
    assert said.code == 4
    assert "the broker did not answer" in said.err


@pytest.mark.parametrize("name", ["two words", "..", "x" * 250])
def test_a_name_that_no_topic_has_is_a_wrong_argument(
    twinlock: Twinlock, history: int, name: str
) -> None:
    said = run_twinlock(twinlock, "replay", "--to-topic", name, KAFKA="127.0.0.1:1")
    assert (said.code, said.out) == (2, "")
    assert "--to-topic: is 1 to 249 of A-Za-z0-9._-" in said.err


def test_a_rebuild_tells_what_it_did(twinlock: Twinlock, history: int) -> None:
    first = run_twinlock(twinlock, "rebuild", "standing")
    assert first.code == 0
    assert "standing: the new one is live" in first.out
    assert "standing: nothing live to compare with" in first.out
    assert "the live one was the same" in run_twinlock(twinlock, "rebuild", "standing").out
    with twinlock.connect() as connection:
        connection.execute("DELETE FROM standing_members_v1 WHERE id = 'm2'")
    check = run_twinlock(twinlock, "rebuild", "standing", "--check")
    assert check.code == 1
    assert "standing_members_v1 id=m2: only the fresh one has this row" in check.out
    unknown = run_twinlock(twinlock, "rebuild", "mail")
    assert unknown.code == 2
    assert "standing, tickets, audit_trail" in unknown.err


def test_a_disk_that_is_full_in_the_middle_leaves_nothing(
    twinlock: Twinlock, history: int, tmp_path: Path
) -> None:
    for what in ("replay --json --output", "export parquet"):
        command = f'ulimit -f 1; exec "{sys.executable}" -m twinlock {what} "{tmp_path}/out"'
        ended = subprocess.run(
            ["bash", "-c", command], cwd=ROOT, env=environment(twinlock), capture_output=True
        )
        assert ended.returncode == 4, ended.stderr
        assert b"out: File too large; nothing was written" in ended.stderr
        assert list(tmp_path.iterdir()) == []


class FailingWriter:
    """A log that goes away after two windows."""

    def __init__(self) -> None:
        self.put_positions: list[str] = []

    def put(self, records: Sequence[Outgoing]) -> list[int]:
        if len(self.put_positions) == 4:
            raise LogUnavailable("BrokerNotAvailable")
        self.put_positions += [json.loads(record.value or b"")["id"] for record in records]
        return []

    def close(self) -> None:
        pass


def test_a_broker_that_goes_away_in_the_middle_is_said_with_the_place(
    twinlock: Twinlock,
    history: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    writer = FailingWriter()
    monkeypatch.setattr(cli_replay, "_writer", lambda *_: writer)
    monkeypatch.setattr(cli_replay, "WINDOW", 2)
    wrap = Envelope(twinlock.settings.public_url, twinlock.keys.derived(LOG_KEY))
    with twinlock.connect() as connection:
        wanted = Slice()
        read = slices.read(connection, wanted, slices.span(connection, wanted), lambda *_: None)
        with pytest.raises(typer.Exit) as left:
            cli_replay._publish(twinlock, "copy", read, wrap)
    assert left.value.exit_code == 4
    assert writer.put_positions == ["1", "2", "3", "4"]
    assert "copy has everything up to position 4" in capsys.readouterr().err
