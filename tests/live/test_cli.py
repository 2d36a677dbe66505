"""The command line: what it prints, how it fails, and its exit codes."""

import json
import re
from collections.abc import Callable

import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from domain.member_mfa import MemberMFA
from tests.flow.conftest import sweep
from tests.support.command_line import on_a_terminal
from tests.support.parts import fresh_database
from twinlock.cli import app
from twinlock.composition import Twinlock

pytestmark = pytest.mark.live

Run = Callable[..., Result]
LEFT_OPEN = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
"""kafka-python leaves the sockets open that it tried absent brokers with."""


@pytest.fixture
def run(twinlock: Twinlock, monkeypatch: pytest.MonkeyPatch) -> Run:
    settings = twinlock.settings
    assert settings.master_key is not None
    monkeypatch.setenv("TWINLOCK_DATABASE", settings.database.get_secret_value())
    monkeypatch.setenv("TWINLOCK_MASTER_KEY", settings.master_key.get_secret_value())
    monkeypatch.delenv("TWINLOCK_MASTER_KEY_FILE", raising=False)
    monkeypatch.setenv("TWINLOCK_DEMO", "1")
    return lambda *arguments: CliRunner().invoke(app, arguments)


def test_a_token_is_printed_alone_and_works(twinlock: Twinlock, run: Run) -> None:
    result = run("token", "create", "--role", "host", "--name", "marked name")
    assert result.exit_code == 0
    found = twinlock.credentials.find("api", result.stdout.strip())
    assert found is not None
    assert found.claims["role"] == "host"


def test_tokens_are_listed_and_revoked(twinlock: Twinlock, run: Run) -> None:
    run("token", "create", "--role", "auditor", "--name", "Ada's")
    (row,) = json.loads(run("token", "list", "--json").stdout)
    assert (row["role"], row["name"]) == ("auditor", "Ada's")
    assert run("token", "revoke", row["token_id"]).exit_code == 0
    assert json.loads(run("token", "list", "--json").stdout) == []
    assert run("token", "revoke", row["token_id"]).exit_code == 1


def test_a_token_whose_name_cannot_be_read_is_listed_and_revoked(
    twinlock: Twinlock, run: Run
) -> None:
    for name in ("lost", "kept"):
        run("token", "create", "--role", "host", "--name", name)
    lost, _ = json.loads(run("token", "list", "--json").stdout)
    twinlock.database.execute(
        "update vault_keys set wrapped = 'x' where owner = %s", (f"token/{lost['token_id']}",)
    )
    rows = json.loads(run("token", "list", "--json").stdout)
    assert [row["name"] for row in rows] == [None, "kept"]
    assert lost["token_id"] in run("token", "list").stdout
    assert run("token", "revoke", lost["token_id"]).exit_code == 0


def test_a_list_of_80_columns_cuts_no_id_and_changes_no_name(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    run("token", "create", "--role", "host", "--workspace", "w" * 40, "--name", "[prod] :key: [/]")
    (row,) = json.loads(run("token", "list", "--json").stdout)
    listed = run("token", "list").stdout
    assert row["token_id"] in listed
    assert "[prod]" in listed
    assert ":key:" in listed
    assert max(map(len, listed.splitlines())) <= 80


def test_a_name_never_leaves_the_vault(twinlock: Twinlock, run: Run) -> None:
    run("token", "create", "--role", "host", "--name", "marked name")
    assert all(b"marked" not in record.state for record in twinlock.store.events(0))


def test_a_support_token_needs_its_agent(run: Run) -> None:
    assert run("token", "create", "--role", "support", "--name", "n").exit_code == 2


@pytest.mark.parametrize("option", ["--workspace", "--member"])
@pytest.mark.parametrize("given", ["", "ada@example.com", "a" * 129])
def test_a_token_is_for_ids_alone(twinlock: Twinlock, run: Run, option: str, given: str) -> None:
    result = run("token", "create", "--role", "host", option, given)
    assert result.exit_code == 2
    assert result.stderr == f"twinlock: {option}: is 1 to 128 of A-Za-z0-9._~-\n"
    assert twinlock.store.head() == 0


def test_a_demonstration_may_be_seeded_again(twinlock: Twinlock, run: Run) -> None:
    first = json.loads(run("demo", "seed").stdout)
    again = json.loads(run("demo", "seed").stdout)
    assert first["members"] == again["members"]
    assert set(again["tokens"]) == {"host", "owner", "support", "auditor", "analyst"}
    assert twinlock.credentials.find("api", again["tokens"]["host"])
    assert twinlock.credentials.find("api", first["tokens"]["host"]) is None


def test_a_demonstration_code_is_fresh(run: Run) -> None:
    run("demo", "seed")
    assert len(run("demo", "code", "--member", "demo-bound").stdout.strip()) == 6
    assert run("demo", "code", "--member", "demo-member").exit_code == 1


def test_codes_are_for_demonstrations_only(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINLOCK_DEMO", "0")
    assert run("demo", "code", "--member", "demo-bound").exit_code == 2


def test_an_erased_member_is_gone(twinlock: Twinlock, run: Run) -> None:
    run("demo", "seed")
    done = run("erase", "demo-member")
    assert (done.exit_code, done.stdout) == (0, "demo-member is erased.\n")
    assert twinlock.store.load(MemberMFA, "demo-member").erased
    assert twinlock.vault.peek("member/demo-member", "contact") is None
    assert run("demo", "seed").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "answer", "code"), [((), b"n\n", 1), ((), b"y\n", 0), (("--yes",), b"", 0)]
)
def test_on_a_terminal_nobody_is_erased_unasked(
    twinlock: Twinlock, run: Run, arguments: tuple[str, ...], answer: bytes, code: int
) -> None:
    run("demo", "seed")
    ended = on_a_terminal(twinlock, answer, "erase", "demo-member", *arguments)
    assert ended.code == code
    assert ("Erase demo-member for ever?" in ended.out) == bool(answer)
    assert twinlock.store.load(MemberMFA, "demo-member").erased == (code == 0)


@LEFT_OPEN
def test_the_doctor_says_what_is_wrong_in_one_line_each(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWINLOCK_SMTP", "127.0.0.1:1")
    monkeypatch.setenv("TWINLOCK_KAFKA", "127.0.0.1:1,127.0.0.1:2")
    result = run("doctor")
    assert result.exit_code == 1
    failed = [line for line in result.stdout.splitlines() if line.startswith("FAIL")]
    assert [line.split()[1] for line in failed] == ["broker", "mail"]
    assert failed[0].endswith("Is the server up, and TWINLOCK_KAFKA right?")
    assert failed[1].endswith("Is the server up, and TWINLOCK_SMTP right?")
    sweep()


def test_the_doctor_tells_programs_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINLOCK_SMTP", "127.0.0.1:1")
    told = json.loads(run("doctor", "--json").stdout)
    parts = {one["name"]: one["well"] for one in told}
    assert parts.pop("mail") is False
    assert parts == dict.fromkeys(("database", "clock", "keys", "broker"), True)


def test_what_befell_the_database_is_said_by_each_command(
    run: Run, twinlock: Twinlock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWINLOCK_DATABASE", twinlock.database.uri + "_none")
    why = "DATABASE: the server has no such database"
    for command in ("migrate", "serve"):
        ended = run(command)
        assert (ended.exit_code, ended.stderr.splitlines()[-1]) == (3, f"twinlock: {why}")
    doctor = run("doctor").stdout
    for part in ("database", "clock", "keys"):
        assert f"FAIL  {part:<9} {why}\n" in doctor


def test_the_doctor_looks_for_keys_behind_the_schema_only(
    run: Run, postgres_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fresh_database(postgres_server) as empty:
        monkeypatch.setenv("TWINLOCK_DATABASE", empty)
        ended = run("doctor")
    assert "database.refused" not in ended.stderr
    for part in ("database", "keys"):
        assert re.search(rf"^FAIL  {part} .*; run: twinlock migrate$", ended.stdout, re.MULTILINE)


def test_the_doctor_names_the_master_keys_that_are_missing(run: Run, twinlock: Twinlock) -> None:
    row = "insert into vault_keys (owner, key_id, wrapped) values (%s, %s, '')"
    for number, key_id in enumerate(("k0", "k1", "k3")):
        twinlock.database.execute(row, (f"member/m{number}", key_id))
    counted = "1 under k0, 2 under k1, 1 under k3"
    missing = f"FAIL  keys      data keys: {counted}; missing master keys: k0, k3\n"
    assert missing in run("doctor").stdout


@LEFT_OPEN
@pytest.mark.kafka
def test_the_doctor_asks_any_broker_for_the_topic(
    run: Run, monkeypatch: pytest.MonkeyPatch, kafka: str
) -> None:
    monkeypatch.setenv("TWINLOCK_KAFKA", f"127.0.0.1:1,{kafka}")
    monkeypatch.setenv("TWINLOCK_TOPIC", "never.made")
    found = [line for line in run("doctor").stdout.splitlines() if "broker" in line]
    assert found[0].startswith("ok")
    assert "never.made will be made" in found[0]
    sweep()


def test_nothing_is_demonstrated_unless_the_setting_allows_it(
    run: Run, twinlock: Twinlock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWINLOCK_DEMO", "false")
    head = twinlock.store.head()
    for command in ("seed", "code"):
        result = run("demo", command)
        assert (result.exit_code, result.stderr) == (2, "twinlock: TWINLOCK_DEMO: is off\n")
    assert twinlock.store.head() == head


def test_keys_are_rotated_with_a_count(run: Run) -> None:
    told = "data keys were wrapped anew, under the current master key.\n"
    assert run("keys", "rotate").stdout == f"0 {told}"
    assert run("keys", "status").stdout == "k1\t1\n"
    assert json.loads(run("keys", "status", "--json").stdout) == {"k1": 1}


def test_one_kind_of_key_is_rotated_at_a_time(run: Run) -> None:
    result = run("keys", "rotate", "--passes", "--notary")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "twinlock: --passes and --notary: give one of them\n"


def test_a_wrong_setting_ends_in_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWINLOCK_CODE_WINDOW", "7")
    result = run("migrate")
    assert result.exit_code == 2
    assert result.stderr.startswith("twinlock: TWINLOCK_CODE_WINDOW: ")
    assert result.stderr.count("\n") == 1


def test_a_database_without_a_schema_is_refused(
    database: str, run: Run, twinlock: Twinlock
) -> None:
    twinlock.database.execute("drop table schema_version")
    result = run("token", "list")
    assert result.exit_code == 3
    assert "twinlock migrate" in result.stderr


def test_an_unknown_worker_is_refused(run: Run) -> None:
    assert run("worker", "sleeper").exit_code == 2


def test_every_option_and_argument_says_what_it_is() -> None:
    found = [("twinlock", get_command(app))]
    for name, command in found:
        inner = getattr(command, "commands", {})
        found += [(f"{name} {each}", one) for each, one in inner.items()]
        silent = [one.name for one in command.params if not getattr(one, "help", None)]
        assert not silent, name
    assert len(found) > 25


def test_help_fills_the_lines_of_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = CliRunner().invoke(app, ["audit", "export", "--help"]).stdout
    told = text.partition("The export itself")[2].partition("\u256d")[0].strip().splitlines()
    assert len(told) > 2
    assert all(len(line.strip()) > 60 for line in told[1:-1]), told
