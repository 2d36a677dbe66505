"""Every setting: an environment variable with the prefix TWINLOCK_, read once and checked."""

import re
import ssl
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from email.utils import parseaddr
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from api.fields import ID
from twinlock.adapters.keyring import BadKeys, Keyring
from workers.checkpoints import SUFFIX

ADDRESS = re.compile(r"(?:\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})", re.ASCII)


MAILBOX = re.compile(r"[^@\s<>]+@[^@\s<>]+", re.ASCII)


URI = re.compile(r"[!$-;=@-~]+")
"""ASCII without spaces, and neither query nor fragment."""


SECURITY_WORDS = {"protocol", "ca", "mechanism", "user", "password_file"}
SECURITY_PROTOCOLS = ("ssl", "sasl_ssl", "sasl_plaintext")
SECURITY_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
TOPIC_LENGTH = 249 - len(SUFFIX)
"""Kafka's limit, less what the longest name of a topic beside it adds."""


class WrongSetting(Exception):
    """A setting is missing or wrong; the message is one line, without the value."""


def _address(value: str) -> str:
    match = ADDRESS.fullmatch(value)
    if match is None or not 0 < int(match[1]) < 65536:
        raise ValueError("reads host:port")
    return value


def _on_loopback(address: str) -> bool:
    host = address.rpartition(":")[0].strip("[]")
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"


def _addresses(value: str) -> str:
    servers = [_address(part.strip()) for part in value.split(",") if part.strip()]
    if value and not servers:
        raise ValueError("names no server")
    return ",".join(servers)


def _base_url(value: str) -> str:
    """Take what can be published: no credentials; urlsplit's own refusals would show them."""
    with suppress(ValueError):
        parts = urlsplit(value)
        server = parts.hostname and parts.port != 0 and "@" not in parts.netloc
        if parts.scheme in ("http", "https") and server and URI.fullmatch(value):
            return value.rstrip("/")
    raise ValueError("reads https://host or https://host:port, with a path at most")


def _sender(value: str) -> str:
    if not MAILBOX.fullmatch(parseaddr(value)[1]) or not value.isprintable():
        raise ValueError("reads name@host, or Name <name@host>")
    return value


def _seconds(value: object) -> object:
    """Take a bare number for seconds; anything else is read as an ISO 8601 duration."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else value


def security_words(value: str) -> dict[str, str]:
    """What KAFKA_SECURITY says."""
    return dict(part.strip().partition("=")[::2] for part in value.split(",") if part)


def password_in(file: str) -> str:
    """The password in a file of UTF-8: all of it, but for an end of line."""
    return Path(file).read_text(encoding="utf-8").rstrip("\r\n")


def _check_files(words: Mapping[str, str]) -> None:
    """Read the files that KAFKA_SECURITY names, as they will be."""
    name = "ca"
    try:
        if name in words:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(words[name])
        name = "password_file"
        if name in words and not password_in(words[name]):
            raise ValueError(f"{name}: the file is empty")
    except ssl.SSLError:
        raise ValueError(f"{name}: the file holds no certificate") from None
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"{name}: the file cannot be read") from None


Address = Annotated[str, AfterValidator(_address)]
Topic = Annotated[str, Field(pattern=r"^\.*[A-Za-z0-9_-][A-Za-z0-9._-]*$", max_length=TOPIC_LENGTH)]
Life = Annotated[timedelta, BeforeValidator(_seconds)]


class Settings(BaseSettings):
    """The settings of a process. Secrets are masked in every repr."""

    model_config = SettingsConfigDict(
        env_prefix="TWINLOCK_",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    database: SecretStr
    """PostgreSQL URI, of a database in UTF8; needs fsync and synchronous_commit on."""
    kafka: Annotated[str, AfterValidator(_addresses)] = ""
    """Bootstrap servers, `host:port` apart by commas; empty: the embedded log."""
    kafka_security: str = ""
    """`key=value` pairs apart by commas: protocol (ssl, sasl_ssl, sasl_plaintext), ca, mechanism
    (PLAIN, SCRAM-SHA-256, SCRAM-SHA-512), and for the sasl protocols user, password_file."""
    topic: Topic = "twinlock.events"
    """The log's topic; the names of those beside it, and of consumer groups, begin with it."""
    smtp: Address = "127.0.0.1:25"
    """The mail server, `host:port`."""
    smtp_user: str = ""
    """User at the mail server, with SMTP_PASSWORD, both in ASCII; empty: none. Needs SMTP_TLS
    starttls or tls, but where SMTP is a loopback address."""
    smtp_password: SecretStr = SecretStr("")
    """Password at the mail server."""
    smtp_tls: Literal["none", "starttls", "tls"] = "none"
    """How the connection to the mail server is secured: none, starttls, or tls from the first byte;
    either needs a certificate that is trusted and of the name in SMTP."""
    mail_from: Annotated[str, AfterValidator(_sender)] = "Twinlock <twinlock@localhost>"
    """Sender of every mail, with or without a name."""
    http: Address = "127.0.0.1:8080"
    """Where to serve, `host:port`."""
    public_url: Annotated[str, AfterValidator(_base_url)] = "http://127.0.0.1:8080"
    """How clients reach this installation; the issuer of passes and the source of events. With a
    path it serves the API alone: pages lead to the root of the host."""
    master_key: SecretStr | None = None
    """`id:base64` of 32 bytes, several apart by commas; the first wraps, all open."""
    master_key_file: Path | None = None
    """A file with the same, one a line; give this or MASTER_KEY."""
    issuer: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^:]+$")] = "Twinlock"
    """The name that authenticator apps show: up to 64 characters, and no colon."""
    code_window: Annotated[int, Field(ge=0, le=1)] = 1
    """Time steps of 30 s accepted either side of now: 0 or 1."""
    trusted_proxies: Annotated[int, Field(ge=0, le=16)] = 0
    """How many proxies in front add X-Forwarded-For, 16 at most."""
    ticket_approvals: Annotated[int, Field(ge=1, le=2)] = 1
    """Approvals for a ticket whose first factor is proven: 1 or 2. It needs two anyway where that
    was changed within 24 hours, or the member is an owner or agent."""
    pass_life: Life = timedelta(hours=12)
    """How long a pass lives, in seconds or as an ISO 8601 duration: a minute to 30 days."""
    anonymous_limit: Annotated[int, Field(ge=1)] = 30
    """Anonymous calls an hour and address."""
    checkpoint_file: Path | None = None
    """Where the notary keeps its signed checkpoints outside of the database; best on write-once
    storage of another owner."""
    staff_workspace: str | None = None
    """The workspace in which the roles support, auditor and analyst count."""
    demo: bool = False
    """Allows `twinlock demo`, and opens a sign-in by password at /sign-in; never in production."""
    metrics: bool = False
    """Serves /metrics."""
    workers: Annotated[int, Field(ge=1, le=64)] = 2
    """Processes of `twinlock serve`, 64 at most."""
    threads: Annotated[int, Field(ge=1, le=64)] = 4
    """Requests that each of them works on at once, 64 at most."""

    @classmethod
    def read(cls) -> Self:
        """Read environment and `.env`; raises WrongSetting, which names the setting."""
        try:
            return cls()  # type: ignore[call-arg]  # the environment gives the rest
        except ValidationError as error:
            raise WrongSetting(_line(error)) from None

    @field_validator("database")
    @classmethod
    def _is_postgres(cls, value: SecretStr) -> SecretStr:
        uri = value.get_secret_value()
        try:
            conninfo_to_dict(uri)
            urlsplit(uri).port  # noqa: B018 - raises ValueError
        except (ProgrammingError, ValueError):
            raise ValueError("is no PostgreSQL URI") from None
        if not uri.startswith(("postgresql://", "postgres://")):
            raise ValueError("begins with postgresql://")
        return value

    @field_validator("kafka_security")
    @classmethod
    def _is_security(cls, value: str) -> str:
        words = security_words(value)
        if words.keys() - SECURITY_WORDS:
            raise ValueError(f"knows {', '.join(sorted(SECURITY_WORDS))}")
        if value and words.get("protocol") not in SECURITY_PROTOCOLS:
            raise ValueError(f"needs protocol={' or '.join(SECURITY_PROTOCOLS)}")
        login = [words[name] for name in ("user", "password_file") if name in words]
        if words.get("protocol", "").startswith("sasl_"):
            if len(login) < 2 or not all(login):
                raise ValueError("needs user and password_file for this protocol")
        elif login:
            raise ValueError("takes user and password_file for the sasl protocols only")
        if words.get("mechanism", "PLAIN").upper() not in SECURITY_MECHANISMS:
            raise ValueError(f"knows mechanism={' or '.join(SECURITY_MECHANISMS)}")
        _check_files(words)
        return value

    @field_validator("checkpoint_file")
    @classmethod
    def _is_no_folder(cls, value: Path | None) -> Path | None:
        with suppress(OSError):  # who may not look there may share the setting with who may
            if value and value.is_dir():
                raise ValueError("is a folder")
        return value

    @field_validator("staff_workspace")
    @classmethod
    def _is_id(cls, value: str | None) -> str | None:
        if value is not None and not ID.fullmatch(value):
            raise ValueError("is 1 to 128 of A-Za-z0-9._~-")
        return value

    @field_validator("pass_life")
    @classmethod
    def _is_life(cls, value: timedelta) -> timedelta:
        if not timedelta(minutes=1) <= value <= timedelta(days=30):
            raise ValueError("lies between a minute and 30 days")
        return value

    @model_validator(mode="after")
    def _has_a_whole_login(self) -> Self:
        user, password = self.smtp_user, self.smtp_password.get_secret_value()
        for name, value, other, its in (
            ("SMTP_USER", user, "SMTP_PASSWORD", password),
            ("SMTP_PASSWORD", password, "SMTP_USER", user),
        ):
            if value and not its:
                raise ValueError(f"{name}: needs {other}")
            if not value.isascii():  # smtplib knows no other, and shows it where it complains
                raise ValueError(f"{name}: takes ASCII alone")
        return self

    @model_validator(mode="after")
    def _tells_nobody_on_the_way(self) -> Self:
        if self.smtp_user and self.smtp_tls == "none" and not _on_loopback(self.smtp):
            raise ValueError("SMTP_USER: needs SMTP_TLS=starttls or tls, but at a loopback address")
        return self

    @model_validator(mode="after")
    def _has_keys(self) -> Self:
        key, file = self.master_key, self.master_key_file
        if (key is None) == (file is None):
            raise ValueError("MASTER_KEY: give this or MASTER_KEY_FILE, and not both")
        name = "MASTER_KEY" if key else "MASTER_KEY_FILE"
        try:
            Keyring(key.get_secret_value() if key else "", file=file)
        except BadKeys as error:
            raise ValueError(f"{name}: {error}") from None
        except (OSError, UnicodeDecodeError):
            raise ValueError(f"{name}: the file cannot be read") from None
        return self


def _line(error: ValidationError) -> str:
    """The first thing that is wrong: `TWINLOCK_NAME: what`."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    what = first["msg"].removeprefix("Value error, ")
    if not first["loc"]:
        return f"TWINLOCK_{what}"
    what = "is missing" if first["type"] == "missing" else what
    return f"TWINLOCK_{str(first['loc'][0]).upper()}: {what}"
