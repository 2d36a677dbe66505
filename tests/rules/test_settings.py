"""Settings are checked at the start: one line names what is wrong and never shows a secret."""

import base64
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.authority import Authority
from twinlock.backend import kafka_security
from twinlock.settings import Settings, WrongSetting
from workers.checkpoints import SUFFIX as CHECKPOINTS
from workers.member_states import SUFFIX as MEMBERS

KEY = "k1:" + base64.b64encode(b"marked-secret-of-32-bytes-long!!").decode()
GOOD = {"DATABASE": "postgresql://u:marked-secret@127.0.0.1/db", "MASTER_KEY": KEY}


@pytest.fixture(autouse=True)
def _somewhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("marked-secret")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "latin").write_text("marked-sécret", encoding="latin-1")
    Authority(tmp_path)


def read(monkeypatch: pytest.MonkeyPatch, **others: str) -> Settings:
    for name, value in {**GOOD, **others}.items():
        monkeypatch.setenv(f"TWINLOCK_{name}", value)
    return Settings.read()


def test_two_settings_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch)
    assert settings.topic == "twinlock.events"
    assert settings.pass_life == timedelta(hours=12)
    assert settings.staff_workspace is None


def test_what_is_empty_has_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, STAFF_WORKSPACE="").staff_workspace is None


def test_a_secret_does_not_show_in_a_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, SMTP_USER="a", SMTP_PASSWORD="marked-secret")
    assert "marked" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE", "mysql://u:marked-secret@h/db"),
        ("DATABASE", "postgresql://u:marked-secret@h:port/db"),
        ("KAFKA", "localhost"),
        ("KAFKA", ","),
        ("KAFKA_SECURITY", "user=a"),
        ("KAFKA_SECURITY", "protocol=telepathy"),
        ("KAFKA_SECURITY", "marked-secret"),
        ("KAFKA_SECURITY", "protocol=sasl_ssl"),
        ("KAFKA_SECURITY", "protocol=sasl_ssl,user=marked-secret"),
        ("KAFKA_SECURITY", "protocol=sasl_ssl,user,password_file=file"),
        ("KAFKA_SECURITY", "protocol=sasl_plaintext,password_file=file"),
        ("KAFKA_SECURITY", "protocol=ssl,user=marked-secret,password_file=file"),
        ("KAFKA_SECURITY", "protocol=ssl,password_file=file"),
        ("KAFKA_SECURITY", "protocol=plaintext,user=marked-secret,password_file=file"),
        ("KAFKA_SECURITY", "protocol=sasl_ssl,mechanism=GSSAPI,user=a,password_file=file"),
        ("KAFKA_SECURITY", "protocol=sasl_ssl,user=a,password_file=marked-none"),
        ("KAFKA_SECURITY", "protocol=sasl_ssl,user=a,password_file=."),
        ("KAFKA_SECURITY", "protocol=sasl_ssl,user=a,password_file=empty"),
        ("KAFKA_SECURITY", "protocol=sasl_ssl,user=a,password_file=latin"),
        ("KAFKA_SECURITY", "protocol=ssl,ca=marked-none"),
        ("KAFKA_SECURITY", "protocol=ssl,ca=."),
        ("KAFKA_SECURITY", "protocol=ssl,ca=file"),
        ("KAFKA_SECURITY", "protocol=ssl,ca"),
        ("TOPIC", "a topic"),
        ("TOPIC", "."),
        ("TOPIC", ".."),
        ("TOPIC", "t" * 238),
        ("SMTP", "localhost"),
        ("SMTP", "localhost:99999"),
        ("SMTP_TLS", "maybe"),
        ("MAIL_FROM", "nobody"),
        ("MAIL_FROM", "marked\nname <twinlock@localhost>"),
        ("HTTP", "8080"),
        ("PUBLIC_URL", "ftp://example.com"),
        ("PUBLIC_URL", "example.com"),
        ("PUBLIC_URL", "https://example.com:marked-secret"),
        ("PUBLIC_URL", "https://example.com:65536"),
        ("PUBLIC_URL", "https://example.com:0"),
        ("PUBLIC_URL", "https://u:marked-secret@example.com"),
        ("PUBLIC_URL", "https://marked-secret@example.com"),
        ("PUBLIC_URL", "https://u:marked-secret@example\u2100.com"),
        ("PUBLIC_URL", "https://example.com?"),
        ("PUBLIC_URL", "https://example.com#"),
        ("PUBLIC_URL", "https://marked example.com"),
        ("PUBLIC_URL", "https://example.com/marked secret"),
        ("PUBLIC_URL", "https://marked\u2024example.com"),
        ("MASTER_KEY", "marked-secret"),
        ("MASTER_KEY", "k1:bWFya2VkLXNlY3JldA=="),
        ("ISSUER", "Acme: Inc"),
        ("CODE_WINDOW", "2"),
        ("CODE_WINDOW", "one"),
        ("TRUSTED_PROXIES", "-1"),
        ("TICKET_APPROVALS", "0"),
        ("TICKET_APPROVALS", "3"),
        ("PASS_LIFE", "forever"),
        ("PASS_LIFE", "10"),
        ("PASS_LIFE", "P90D"),
        ("ANONYMOUS_LIMIT", "0"),
        ("CHECKPOINT_FILE", "."),
        ("STAFF_WORKSPACE", "my staff"),
        ("DEMO", "perhaps"),
        ("WORKERS", "0"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line_without_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    with pytest.raises(WrongSetting) as caught:
        read(monkeypatch, **{name: value})
    line = str(caught.value)
    assert line.startswith(f"TWINLOCK_{name}: ")
    assert "\n" not in line
    assert "marked" not in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAFKA", "127.0.0.1:9092,[::1]:9092"),
        ("KAFKA_SECURITY", "protocol=ssl"),
        ("KAFKA_SECURITY", "protocol=ssl,ca=ca.pem"),
        ("KAFKA_SECURITY", "protocol=sasl_ssl, ca=ca.pem, user=a, password_file=file"),
        ("KAFKA_SECURITY", "protocol=sasl_plaintext,mechanism=plain,user=a,password_file=file"),
        ("TOPIC", "t" * (249 - max(len(CHECKPOINTS), len(MEMBERS)))),
        ("TOPIC", ".hidden"),
        ("PUBLIC_URL", "https://[::1]:8443/mfa"),
    ],
)
def test_a_right_setting_is_taken_as_it_is(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    assert getattr(read(monkeypatch, **{name: value}), name.lower()) == value


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_password_is_all_that_its_file_holds_but_the_end_of_the_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, end: str
) -> None:
    password = " a,b=c sécret "
    (tmp_path / "file").write_text(password + end, encoding="utf-8", newline="")
    words = "protocol=sasl_ssl, user=a=b, password_file=file"
    security = kafka_security(read(monkeypatch, KAFKA_SECURITY=words))
    assert security == {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-256",
        "sasl_plain_username": "a=b",
        "sasl_plain_password": password,
    }


def test_a_login_at_the_mail_server_is_in_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("USER", "marked-ü"), ("PASSWORD", "marked-ü")):
        login = {"SMTP_USER": "a", "SMTP_PASSWORD": "a", f"SMTP_{name}": value}
        with pytest.raises(WrongSetting, match=rf"^TWINLOCK_SMTP_{name}: takes ASCII") as caught:
            read(monkeypatch, **login)
        assert "marked" not in str(caught.value)


def test_servers_are_taken_without_what_is_between_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, KAFKA=", a:1 , b:2,").kafka == "a:1,b:2"


def test_a_checkpoint_file_may_be_there_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("file", "none-yet"):
        assert read(monkeypatch, CHECKPOINT_FILE=name).checkpoint_file == Path(name)


def test_a_user_at_the_mail_server_comes_with_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, SMTP_USER="a", SMTP_PASSWORD="marked-secret").smtp_user == "a"


@pytest.mark.parametrize("tls", ["none", "starttls", "tls"])
@pytest.mark.parametrize(
    ("smtp", "here"),
    [
        ("127.0.0.1:25", True),
        ("[::1]:25", True),
        ("localhost:25", True),
        ("mail:25", False),
        ("192.0.2.1:25", False),
        ("[2001:db8::1]:25", False),
        ("127.example.com:25", False),
    ],
)
def test_a_password_for_mail_leaves_the_machine_over_tls_alone(
    monkeypatch: pytest.MonkeyPatch, smtp: str, here: bool, tls: str
) -> None:
    mail = {"SMTP": smtp, "SMTP_TLS": tls}
    assert read(monkeypatch, **mail).smtp_tls == tls
    mail |= {"SMTP_USER": "marked-secret", "SMTP_PASSWORD": "marked-secret"}
    if here or tls != "none":
        assert read(monkeypatch, **mail).smtp == smtp
        return
    with pytest.raises(WrongSetting, match=r"^TWINLOCK_SMTP_USER: needs SMTP_TLS=") as caught:
        read(monkeypatch, **mail)
    assert "marked" not in str(caught.value)


@pytest.mark.parametrize(("given", "other"), [("USER", "PASSWORD"), ("PASSWORD", "USER")])
def test_a_user_for_mail_needs_its_password_and_the_other_way_round(
    monkeypatch: pytest.MonkeyPatch, given: str, other: str
) -> None:
    with pytest.raises(WrongSetting) as caught:
        read(monkeypatch, **{f"SMTP_{given}": "marked-secret"})
    assert str(caught.value) == f"TWINLOCK_SMTP_{given}: needs SMTP_{other}"


@pytest.mark.parametrize("name", GOOD)
def test_a_missing_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with pytest.raises(WrongSetting, match=rf"^TWINLOCK_{name}: "):
        read(monkeypatch, **{name: ""})


def test_a_key_comes_from_one_place_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(KEY)
    assert read(monkeypatch, MASTER_KEY="", MASTER_KEY_FILE=str(file)).master_key_file == file
    with pytest.raises(WrongSetting, match=r"^TWINLOCK_MASTER_KEY: "):
        read(monkeypatch, MASTER_KEY=KEY, MASTER_KEY_FILE=str(file))
    with pytest.raises(WrongSetting, match=r"^TWINLOCK_MASTER_KEY_FILE: "):
        read(monkeypatch, MASTER_KEY="", MASTER_KEY_FILE=str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("text", "life"),
    [("900", timedelta(minutes=15)), ("PT8H", timedelta(hours=8)), ("P1D", timedelta(days=1))],
)
def test_a_pass_lives_for_seconds_or_a_duration(
    monkeypatch: pytest.MonkeyPatch, text: str, life: timedelta
) -> None:
    assert read(monkeypatch, PASS_LIFE=text).pass_life == life


def test_a_slash_at_the_end_of_the_public_url_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert read(monkeypatch, PUBLIC_URL="https://mfa.example.com/").public_url == (
        "https://mfa.example.com"
    )
