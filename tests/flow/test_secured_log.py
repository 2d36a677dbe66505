"""Kafka over TLS with a login: all goes through, and nothing to a broker that is not proven."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from domain.member_mfa import MemberMFA
from tests.flow.conftest import sweep
from tests.flow.histories import joined
from tests.flow.installation import Installation, installed
from tests.flow.people import a_bound_member, a_workspace
from tests.flow.test_mailer import happens
from tests.flow.topics import consume, first_of_each
from tests.support.authority import Authority
from tests.support.built import some_settings
from tests.support.command_line import ROOT, environment, run_twinlock
from tests.support.parts import fresh_database, started, temporary_folder
from tests.support.secure_broker import PASSWORD, USER, SecureBroker
from tests.support.secure_postbox import PASSWORD as MAIL_PASSWORD
from tests.support.secure_postbox import USER as MAIL_USER
from tests.support.secure_postbox import secured
from twinlock import backend
from twinlock.adapters.kafka import KafkaLog
from twinlock.composition import Twinlock
from twinlock.dev import child
from workers.ports import LogUnavailable, Outgoing

pytestmark = [
    pytest.mark.live,
    pytest.mark.kafka,
    # kafka-python leaves the sockets open that it tried brokers with.
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]
HANGS_UP = "the broker hangs up: protocol, mechanism, user or password may be wrong"
OF_ANOTHER_NAME = "SSLCertVerificationError: IP address mismatch, certificate is not valid for"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The mail server's, which is not to be taken for Kafka's."""
    return Authority(tmp_path_factory.mktemp("another"))


@pytest.fixture(scope="module")
def broker(authority: Authority) -> Iterator[SecureBroker]:
    with (
        temporary_folder() as folder,
        started(lambda: SecureBroker(folder / "kafka", authority)) as broker,
    ):
        yield broker


@pytest.fixture(scope="module")
def files(
    authority: Authority, another: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of what the settings name."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "ca").write_bytes(authority.ca.read_bytes())
    (folder / "other-ca").write_bytes(another.ca.read_bytes())
    (folder / "password").write_text(PASSWORD + "\n", encoding="utf-8")
    (folder / "wrong").write_text("marked-wrong", encoding="utf-8")
    return folder


def words(files: Path, **given: str) -> str:
    """KAFKA_SECURITY, with the files by their names in the folder."""
    named = {"ca", "password_file"}
    return ",".join(f"{k}={files / v if k in named else v}" for k, v in given.items())


def login(files: Path, protocol: str = "sasl_ssl", **others: str) -> str:
    right = {"ca": "ca", "user": USER, "password_file": "password"}
    return words(files, protocol=protocol, **{**right, **others})


@pytest.fixture(scope="module")
def whole(
    postgres_server: str, broker: SecureBroker, another: Authority, files: Path
) -> Iterator[Installation]:
    """A whole Twinlock whose every connection to Kafka and to the mail server is secured."""
    with (
        temporary_folder() as folder,
        pytest.MonkeyPatch.context() as patch,
        fresh_database(postgres_server) as database,
        secured("starttls", another.issue()) as postbox,
    ):
        patch.setenv("SSL_CERT_FILE", str(another.ca))
        settings = {
            "KAFKA": broker.at("LOGIN"),
            "KAFKA_SECURITY": login(files),
            "TOPIC": "test.secured",
            "SMTP_TLS": "starttls",
            "SMTP_USER": MAIL_USER,
            "SMTP_PASSWORD": MAIL_PASSWORD,
            "WORKERS": "1",
        }
        with installed(folder, database, postbox, workers=(), **settings) as here:
            here.start("all", "worker")
            yield here


@pytest.fixture(scope="module")
def client(authority: Authority, files: Path) -> Path:
    """What `kcat` is set to."""
    said = {
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": authority.ca,
        "sasl.mechanism": "PLAIN",  # its SCRAM is refused by Kafka 4, before librdkafka 2.6.1
        "sasl.username": USER,
        "sasl.password": PASSWORD,
    }
    file = files / "kcat"
    file.write_text("".join(f"{name}={value}\n" for name, value in said.items()))
    return file


def await_record(whole: Installation, topic: str, client: Path, text: str) -> None:
    """Wait until somebody else's client finds such a record on the topic."""
    deadline = time.monotonic() + 60
    while not any(text in r.payload for r in consume(whole.setting("KAFKA"), topic, client)):
        assert time.monotonic() < deadline, f"no {text} on {topic}"


def test_events_states_checkpoints_and_mails_go_through_over_tls(
    whole: Installation, client: Path
) -> None:
    person = a_bound_member(whole, a_workspace(whole, enforced=True))  # by a mailed code
    last = whole.as_host("DELETE", f"/v1/workspaces/{person.workspace_id}/members/{person.id}")
    whole.settle(last.position)
    topic = whole.setting("TOPIC")
    await_record(whole, f"{topic}.members", client, f'"member_id":"{person.id}"')
    await_record(whole, f"{topic}.checkpoints", client, "\n— ")
    told = whole.run("doctor")
    assert whole.stop("all") == 0
    events = first_of_each(consume(whole.setting("KAFKA"), topic, client)).values()
    types = {str(record.event["type"]) for record in events}
    assert {"twinlock.mfa.bound.v1", "twinlock.workspace.member_removed.v1"} <= types
    assert f"ok    broker    {whole.setting('KAFKA')} answers; the topic {topic} is there" in told
    assert f"ok    mail      {whole.setting('SMTP')} answers" in told
    logs = "".join(file.read_text() for file in whole.logs.iterdir())
    assert '"answered"' in logs
    assert not re.search(f"marked|{USER}|{MAIL_USER}", logs + told)


@pytest.mark.parametrize(
    ("listener", "given"),
    [
        ("LOGIN", {"protocol": "sasl_ssl", "mechanism": "SCRAM-SHA-512"}),
        ("LOGIN", {"protocol": "sasl_ssl", "mechanism": "plain"}),
        ("CLEAR", {"protocol": "sasl_plaintext", "mechanism": "SCRAM-SHA-256"}),
        ("TLS", {"protocol": "ssl", "ca": "ca"}),
        ("TLS", {"protocol": "ssl"}),
    ],
)
def test_each_way_in_takes_and_gives_records(
    broker: SecureBroker,
    files: Path,
    topic: str,
    monkeypatch: pytest.MonkeyPatch,
    listener: str,
    given: dict[str, str],
) -> None:
    trusted = "ca" if given == {"protocol": "ssl"} else "other-ca"
    monkeypatch.setenv("SSL_CERT_FILE", str(files / trusted))  # for who names no ca
    said = words(files, **given) if listener == "TLS" else login(files, **given)
    settings = {"kafka": broker.at(listener), "kafka_security": said, "topic": topic}
    log = backend.kafka(some_settings("postgresql://127.0.0.1:1/none", **settings))
    with closing(log.writer()) as writer:
        writer.put([Outgoing("key", b"value", {})])
    with closing(log.reader(topic, lambda _: {})) as reader:
        deadline = time.monotonic() + 30
        while not (found := reader.poll(0.5)):
            assert time.monotonic() < deadline, "no record came"
    assert [(each.key, each.value) for each in found] == [("key", b"value")]


def faults(log: Path) -> dict[str, set[str]]:
    """What each worker says that keeps it."""
    found: dict[str, set[str]] = {}
    for line in map(json.loads, log.read_text().splitlines()):
        if line["event"] == "worker.interrupted":
            found.setdefault(line["worker"], set()).add(line["fault"])
    return found


@pytest.mark.parametrize(
    ("listener", "given", "reason"),
    [
        ("LOGIN", {"password_file": "wrong"}, HANGS_UP),
        ("LOGIN", {"ca": "other-ca"}, "SSLCertVerificationError: "),
        ("ELSEWHERE", {}, OF_ANOTHER_NAME),
    ],
)
def test_nothing_goes_where_it_should_not(
    twinlock: Twinlock,
    broker: SecureBroker,
    files: Path,
    topic: str,
    tmp_path: Path,
    listener: str,
    given: dict[str, str],
    reason: str,
) -> None:
    happens(twinlock, MemberMFA, "m1", *joined("m1"))
    said = {"KAFKA_SECURITY": login(files, **given), "KAFKA": broker.at(listener), "TOPIC": topic}
    command = [str(ROOT / "bin/twinlock"), "worker", "relay", "project"]
    log, env = tmp_path / "log", environment(twinlock, **said)
    process = child.start(command, log=log, env=env, cwd=tmp_path)
    try:
        told = run_twinlock(twinlock, "doctor", **said)
        deadline = time.monotonic() + 60
        while len(faults(log)) < 5:  # relay, members' states and three projectors
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
    finally:
        child.stop(process, within=12)
    kept = f"LogUnavailable: {reason}"
    assert all(each.startswith(kept) for found in faults(log).values() for each in found)
    assert f"FAIL  broker    cannot be reached ({reason}" in told.out
    assert topic not in KafkaLog(broker.bootstrap).topics()
    assert not re.search(f"marked|{USER}", log.read_text() + told.out + told.err)


@pytest.mark.parametrize(
    ("listener", "protocol", "reason"),
    [("CLEAR", "sasl_ssl", "SSLEOFError: "), ("TLS", "sasl_plaintext", HANGS_UP)],
)
def test_one_protocol_is_not_taken_for_another(
    broker: SecureBroker, files: Path, listener: str, protocol: str, reason: str
) -> None:
    said = {"kafka": broker.at(listener), "kafka_security": login(files, protocol)}
    log = backend.kafka(some_settings("postgresql://127.0.0.1:1/none", **said))
    with pytest.raises(LogUnavailable, match=f"^{reason}"):
        log.topics()
    sweep()
