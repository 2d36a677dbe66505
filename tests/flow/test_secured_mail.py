"""Mail over TLS with a login: sent where the certificate is right, and else nothing is told."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path

import pytest
from aiosmtpd.smtp import LoginPassword

from domain.member_mfa import MemberMFA
from tests.flow.histories import bound, joined
from tests.flow.test_mailer import happens, knows
from tests.support.authority import Authority
from tests.support.built import some_settings
from tests.support.command_line import ROOT, environment, run_twinlock
from tests.support.secure_postbox import PASSWORD, USER, Reluctant, SecurePostbox, secured
from twinlock.adapters.mail import SmtpOutbox
from twinlock.backend import outbox
from twinlock.composition import Twinlock
from twinlock.dev import child
from workers.ports import MailDelayed

pytestmark = pytest.mark.live
RIGHT = LoginPassword(USER.encode(), PASSWORD.encode())


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("another"))


@pytest.fixture(autouse=True)
def _trusting(monkeypatch: pytest.MonkeyPatch, authority: Authority) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))


def letter() -> EmailMessage:
    message = EmailMessage()
    message["To"] = "a@example.com"
    message.set_content("Hello")
    return message


def sender(postbox: SecurePostbox, tls: str, password: str = PASSWORD) -> SmtpOutbox:
    """What the settings make."""
    given = {"smtp_user": USER, "smtp_password": password, "smtp_tls": tls}
    return outbox(some_settings("postgresql://127.0.0.1:1/none", smtp=postbox.smtp, **given))


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_mail_goes_to_a_server_with_the_right_certificate(tls: str, authority: Authority) -> None:
    with secured(tls, authority.issue()) as postbox:
        sender(postbox, tls).send(letter())
    assert [each.to for each in postbox.letters] == ["a@example.com"]
    assert postbox.tried == [RIGHT]


def refused(postbox: SecurePostbox, tls: str, reason: str) -> None:
    with pytest.raises(MailDelayed, match=f"^{reason}"):
        sender(postbox, tls).send(letter())
    assert (postbox.tried, postbox.letters) == ([], [])


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_certificate_of_another_name_is_told_nothing(tls: str, authority: Authority) -> None:
    with secured(tls, authority.issue("mail.example.com")) as postbox:
        refused(postbox, tls, "SSLCertVerificationError: IP address mismatch")


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_certificate_of_another_authority_is_told_nothing(tls: str, another: Authority) -> None:
    with secured(tls, another.issue()) as postbox:
        refused(postbox, tls, "SSLCertVerificationError: ")


def test_a_server_without_tls_is_told_nothing(authority: Authority) -> None:
    with secured("none", authority.issue()) as postbox:
        sender(postbox, "none").send(letter())  # it would take both
        assert (postbox.tried, len(postbox.letters)) == ([RIGHT], 1)
        postbox.tried.clear()
        postbox.letters.clear()
        refused(postbox, "starttls", "SMTPNotSupportedError")
        refused(postbox, "tls", "SSLError: WRONG_VERSION_NUMBER")


def test_a_server_that_goes_back_on_its_offer_is_told_nothing(authority: Authority) -> None:
    with secured("starttls", authority.issue(), Reluctant) as postbox:
        sender(postbox, "none").send(letter())  # it would take both
        assert (postbox.tried, len(postbox.letters)) == ([RIGHT], 1)
        postbox.tried.clear()
        postbox.letters.clear()
        refused(postbox, "starttls", "SMTPResponseException")


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_wrong_password_delays_a_mail(tls: str, authority: Authority) -> None:
    wrong = pytest.raises(MailDelayed, match=r"^SMTPAuthenticationError$")
    with secured(tls, authority.issue()) as postbox, wrong:
        sender(postbox, tls, "marked-wrong").send(letter())
    assert {each.password for each in postbox.tried} == {b"marked-wrong"}
    assert postbox.letters == []


@contextmanager
def mailing(twinlock: Twinlock, log: Path, **settings: str) -> Iterator[None]:
    """`twinlock worker mail`, as its operator starts it."""
    command = [str(ROOT / "bin/twinlock"), "worker", "mail"]
    process = child.start(command, log=log, env=environment(twinlock, **settings), cwd=log.parent)
    try:
        yield
    finally:
        child.stop(process)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)


def reasons(log: Path) -> list[str]:
    """Why mails were delayed."""
    lines = map(json.loads, log.read_text().splitlines())
    return [line["reason"] for line in lines if line["event"] == "mail.delayed"]


def test_an_authority_is_named_in_the_environment_and_a_mail_waits_until_it_is(
    twinlock: Twinlock, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    knows(twinlock, "m1")
    happens(twinlock, MemberMFA, "m1", *joined("m1"), bound())
    log = tmp_path / "log"
    with secured("starttls", authority.issue()) as postbox:
        login = {"SMTP_USER": USER, "SMTP_PASSWORD": PASSWORD}
        settings = {"SMTP": postbox.smtp, "SMTP_TLS": "starttls", **login}
        monkeypatch.delenv("SSL_CERT_FILE")
        with mailing(twinlock, log, **settings):
            until(lambda: len(reasons(log)) > 1)
        doubtful = run_twinlock(twinlock, "doctor", **settings)
        assert (postbox.tried, postbox.letters) == ([], [])
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
        twinlock.database.execute("UPDATE mail_queue SET next_at = now()")
        with mailing(twinlock, log, **settings):
            postbox.wait("m1@example.com", re.compile("."))
    unknown = "SSLCertVerificationError: unable to get local issuer certificate"
    assert set(reasons(log)) == {unknown}
    assert f"FAIL  mail      cannot be reached ({unknown})" in doubtful.out
    assert (doubtful.code, postbox.tried) == (1, [RIGHT])
    assert "marked" not in log.read_text() + doubtful.out + doubtful.err


def test_the_doctor_tells_of_a_wrong_password_without_it(
    twinlock: Twinlock, authority: Authority
) -> None:
    with secured("tls", authority.issue()) as postbox:
        login = {"SMTP_USER": USER, "SMTP_PASSWORD": "marked-wrong"}
        told = run_twinlock(twinlock, "doctor", SMTP=postbox.smtp, SMTP_TLS="tls", **login)
    assert "FAIL  mail      cannot be reached (SMTPAuthenticationError)" in told.out
    assert "marked" not in told.out + told.err
