"""The examples work: they know the public contract alone, and print what they say they print."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

import duckdb
import pyarrow.parquet as parquet
import pytest

from domain.member_facts import MFAUnbound
from domain.member_mfa import MemberMFA
from tests.flow.conftest import Running
from tests.flow.histories import a_workspace, append, bound, joined
from tests.support.command_line import ROOT, run_twinlock
from twinlock.adapters.kafka import KafkaLog
from twinlock.composition import Twinlock
from workers.cloud_events import headers, serialized
from workers.ports import Outgoing

pytestmark = pytest.mark.live
EXAMPLES = ROOT / "examples"


def some_members(twinlock: Twinlock) -> int:
    a_workspace(twinlock, ["m1", "m2", "m3"], "acme")
    append(twinlock, MemberMFA, "m2", bound("b2"))
    append(twinlock, MemberMFA, "m4", *joined("m4", "beta"), bound("b3"))
    unbound = MFAUnbound(binding_id="b3", method="self", ticket_id=None)
    return append(twinlock, MemberMFA, "m4", unbound, minutes=5)


@contextmanager
def the_consumer(log: KafkaLog) -> Iterator[IO[str]]:
    """What the example prints of a log."""
    log.writer().close()  # the topic is there before anybody follows it
    command = [sys.executable, str(EXAMPLES / "consumer.py"), log.bootstrap, log.topic]
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=env, text=True) as consumer:
        assert consumer.stdout is not None
        try:
            yield consumer.stdout
        finally:
            consumer.terminate()


@pytest.mark.kafka
def test_the_consumer_says_who_is_bound(on_kafka: Running) -> None:
    assert isinstance(on_kafka.log, KafkaLog)
    on_kafka.relay()
    position = some_members(on_kafka.twinlock)
    with the_consumer(on_kafka.log) as said:
        lines = [said.readline().strip() for _ in range(4)]
    assert {line.split()[2] for line in lines} == {"m1", "m2", "m4"}
    assert f"{position} 2026-05-01T09:05:00.000000Z m4 is not bound" in " ".join(lines)
    assert re.fullmatch(r"\d+ \S+Z \w+ is (not )?bound: \d+ bound in all", lines[0])


@pytest.mark.kafka
def test_a_repeat_behind_what_is_newer_changes_nothing_for_the_consumer(on_kafka: Running) -> None:
    twinlock, log = on_kafka.twinlock, on_kafka.log
    assert isinstance(log, KafkaLog)
    on_kafka.relay()
    position = some_members(twinlock)
    older = twinlock.store.events(position - 2, 1)[0]
    assert (older.stream, older.topic) == ("member/m4", "mfa.bound.v1")
    event = on_kafka.envelope.wrap(older)
    with the_consumer(log) as said, closing(log.writer()) as writer:
        for _ in range(4):
            said.readline()
        writer.put([Outgoing(older.stream, serialized(event), headers(event))])
        last = append(twinlock, MemberMFA, "m4", bound("b4"), minutes=6)
        line = said.readline().strip()
    assert line == f"{last} 2026-05-01T09:06:00.000000Z m4 is bound: 3 bound in all"


def test_the_consumer_is_short_and_knows_the_public_contract_alone() -> None:
    text = (EXAMPLES / "consumer.py").read_text()
    assert len(text.splitlines()) <= 40
    assert re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE) == ["json", "sys", "kafka"]


def test_duckdb_tells_the_coverage_out_of_a_parquet_file(
    twinlock: Twinlock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    position = some_members(twinlock)
    said = run_twinlock(twinlock, "export", "parquet", str(tmp_path / "events.parquet"))
    assert said.out.endswith(f"{position:,} events up to position {position}\n")
    monkeypatch.chdir(tmp_path)
    rows = duckdb.sql((EXAMPLES / "coverage.sql").read_text()).fetchall()
    assert rows == [("acme", 3, 2, 66.7), ("beta", 1, 0, 0.0)]


def test_a_folder_gets_what_is_new_at_each_run(twinlock: Twinlock, tmp_path: Path) -> None:
    first = some_members(twinlock)
    tmp_path /= "history"
    folder = f"{tmp_path}/"
    run_twinlock(twinlock, "export", "parquet", folder)
    nothing = run_twinlock(twinlock, "export", "parquet", folder)
    assert (nothing.code, "nothing new" in nothing.out) == (0, True)
    last = append(twinlock, MemberMFA, "m5", *joined("m5"))
    assert run_twinlock(twinlock, "export", "parquet", folder).code == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        f"events-{1:016d}-{first:016d}.parquet",
        f"events-{first + 1:016d}-{last:016d}.parquet",
    ]
    read = parquet.read_table(tmp_path).to_pydict()
    assert read["position"] == list(range(1, last + 1))
    assert read["type"][0] == "workspace.created"


@pytest.mark.parametrize(
    "part",
    [
        ["--from-position", "2"],
        ["--since", "2026-05-01"],
        ["--until", "2026-05-01"],
        ["--type", "mfa.bound"],
        ["--workspace", "acme"],
    ],
    ids=lambda part: part[0],
)
def test_a_folder_takes_no_part_that_later_runs_would_take_for_all(
    twinlock: Twinlock, tmp_path: Path, part: list[str]
) -> None:
    some_members(twinlock)
    said = run_twinlock(twinlock, "export", "parquet", str(tmp_path), *part)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "a folder takes the whole history" in said.err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_may_end_early_and_goes_on_there(twinlock: Twinlock, tmp_path: Path) -> None:
    last, folder = some_members(twinlock), str(tmp_path)
    assert run_twinlock(twinlock, "export", "parquet", folder, "--to-position", "5").code == 0
    again = run_twinlock(twinlock, "export", "parquet", folder, "--to-position", "5")
    assert (again.code, "nothing new behind position 5" in again.out) == (0, True)
    assert run_twinlock(twinlock, "export", "parquet", folder).code == 0
    read = parquet.read_table(tmp_path).to_pydict()
    assert sorted(read["position"]) == list(range(1, last + 1))


def test_what_fails_leaves_no_file(twinlock: Twinlock, tmp_path: Path) -> None:
    some_members(twinlock)
    target = tmp_path / "events.parquet"
    with twinlock.connect() as connection:
        connection.execute("UPDATE stored_events SET state = 'x' WHERE notification_id = 5")
    said = run_twinlock(twinlock, "export", "parquet", str(target))
    assert said.code == 1
    assert "position 5 cannot be read; nothing was written" in said.err
    away = run_twinlock(twinlock, "export", "parquet", str(tmp_path / "no" / "events.parquet"))
    occupied = run_twinlock(twinlock, "export", "parquet", f"{__file__}/")
    assert (away.code, occupied.code) == (4, 4)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_library_is_said_with_the_mend(
    twinlock: Twinlock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyarrow.py").write_text("raise ImportError\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    target = tmp_path / "events.parquet"
    said = run_twinlock(twinlock, "export", "parquet", str(target))
    assert said.code == 2
    assert f"pyarrow: {sys.executable} -m pip install pyarrow" in said.err
    assert not target.exists()
