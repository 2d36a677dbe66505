"""A hunt for one member's secrets through everything that Twinlock writes or says."""

import base64
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
from psycopg import sql

from tests.flow.client import Reply
from tests.flow.installation import Installation
from tests.flow.people import (
    Person,
    a_member,
    a_workspace,
    confirm_mailbox,
    enrol,
    enter,
    file_ticket,
    log_in,
)
from tests.flow.topics import bytes_of
from twinlock.dev.kafka import KafkaBroker
from twinlock.dev.postgres import Postgres

pytestmark = [pytest.mark.live, pytest.mark.kafka]
TABLES = """
SELECT n.nspname, c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm', 'S') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY 1, 2
"""


@dataclass(frozen=True)
class Needle:
    """Something that must not be found, as the bytes that it may look like.

    Six digits stand by chance inside of longer numbers and digests: they count `alone` only.
    """

    what: str
    forms: tuple[bytes, ...]
    alone: bool = False

    def found_in(self, hay: bytes) -> bool:
        """Whether any of the forms is there."""
        return any(self._finds(form, hay) for form in self.forms)

    def _finds(self, form: bytes, hay: bytes) -> bool:
        if form not in hay:
            return False
        pattern = rb"(?<![0-9A-Za-z.])" + re.escape(form) + rb"(?![0-9A-Za-z])"
        return not self.alone or re.search(pattern, hay) is not None


def text(what: str, value: str) -> Needle:
    """A text, also in base64, in hexadecimal, and escaped as JSON does."""
    raw = value.encode()
    escaped = json.dumps(value).strip('"').encode()
    return Needle(what, (raw, escaped, *_coded(raw)))


def code(what: str, value: str) -> list[Needle]:
    """A short code, and its plain digests, which would give it away."""
    raw = value.encode()
    digests = [hashlib.new(name, raw).digest() for name in ("sha1", "sha256")]
    alike = [d for digest in digests for d in (digest, *_coded(digest))]
    return [Needle(what, (raw,), alone=True), Needle(f"a digest of {what}", tuple(alike))]


def secret(what: str, base32: str) -> Needle:
    """A secret: base32 in either case, raw, hexadecimal, base64."""
    raw = base64.b32decode(base32)
    return Needle(what, (base32.encode(), base32.lower().encode(), raw, *_coded(raw)))


def _coded(raw: bytes) -> tuple[bytes, ...]:
    plain = (base64.b64encode(raw), base64.urlsafe_b64encode(raw))
    unpadded = tuple(each.rstrip(b"=") for each in plain)
    return (raw.hex().encode(), raw.hex().upper().encode(), *unpadded)


@dataclass
class Life:
    """What the canary did, and what it held while doing it."""

    here: Installation
    person: Person
    name: str
    needles: list[Needle]
    first: int
    """The number of answers that were given before its life began."""

    def replies(self) -> list[Reply]:
        """The answers of its life."""
        return self.here.client.replies[self.first :]


def live(here: Installation) -> Life:
    """Go through everything once: every kind of secret comes into being and is used."""
    first, mark = len(here.client.replies), secrets.token_hex(5)
    workspace, name = a_workspace(here, enforced=True), f"Zoë-{mark} Kanarie"
    person = a_member(here, workspace, email=f"zz{mark}@example.net", name=name)
    tokens, codes = dict(here.tokens), list[str]()
    login = log_in(here, person)
    tokens["login"] = login["login_token"]
    mailed = confirm_mailbox(here, person, login["login_token"])
    enrol(here, person, login["login_token"], mailed)
    bound = here.client.post(
        f"{person.mfa}/binding", login["login_token"], {"code": person.phone.code()}
    )
    person.recovery_codes = bound.body["recovery_codes"]
    tokens["first pass"] = bound.body["pass"]
    again = log_in(here, person)
    wrong = person.phone.wrong()
    codes.append(wrong)
    assert enter(here, again, code=wrong).status == 403
    tokens["second pass"] = enter(here, again, code=person.phone.code()).body["pass"]
    spare = log_in(here, person)
    third = enter(here, spare, recovery_code=person.recovery_codes[0])
    tokens |= {"spare login": spare["login_token"], "third pass": third.body["pass"]}
    pending = log_in(here, person)
    filed = file_ticket(here, person, pending["login_token"])
    tokens |= {"pending": pending["login_token"], "ticket": filed.body["ticket_token"]}
    off = here.client.post(
        f"{person.mfa}/unbinding", tokens["third pass"], {"code": person.phone.code()}
    )
    assert off.status == 200, off.raw
    tokens["handover"] = pending["page"].rpartition("=")[2]
    here.settle(off.position)
    here.postbox.wait(person.email, re.compile("Your request was cancelled"))
    needles = [secret("the secret", person.phone.secret)]
    needles += [text(f"recovery code {n}", c) for n, c in enumerate(person.recovery_codes)]
    needles += [text(f"the token {k}", v) for k, v in tokens.items()]
    needles += [text("the address", person.email), text("the address's user", f"zz{mark}")]
    needles += [text("the name", name), text("the name's first half", f"Zoë-{mark}")]
    needles += [text("the ticket's title", "Lost phone"), text("its text", "into a lake")]
    for value in (*person.phone.given, *codes, *person.mailed):
        needles += code(f"the code {value}", value)
    return Life(here, person, name, needles, first)


@pytest.fixture(scope="module")
def life(whole: Installation) -> Life:
    """A life that is over."""
    return live(whole)


def places(database: str) -> Iterator[tuple[str, bytes]]:
    """Every table and sequence, each as COPY writes it: as text, and as bytes."""
    with psycopg.connect(database, autocommit=True) as connection:
        for schema, table in connection.execute(TABLES).fetchall():
            rows = sql.SQL("(SELECT * FROM {})").format(sql.Identifier(schema, table))
            for form in ("text", "binary"):
                copy = sql.SQL("COPY {} TO STDOUT (FORMAT {})").format(rows, sql.SQL(form))
                with connection.cursor() as cursor, cursor.copy(copy) as out:
                    yield f"{table} ({form})", b"".join(bytes(part) for part in out)


def finds(life: Life, places: Iterator[tuple[str, bytes]]) -> list[str]:
    """What was found where."""
    return [
        f"{n.what} in {where}" for where, hay in places for n in life.needles if n.found_in(hay)
    ]


def test_nothing_in_the_database_is_in_clear(life: Life) -> None:
    """Not even in the vault: what lies there is sealed."""
    found = dict(places(life.here.setting("DATABASE")))
    assert {"vault_items (text)", "stored_events (binary)", "audit_trail_v1 (text)"} <= set(found)
    assert life.person.id.encode() in found["vault_items (binary)"]
    assert finds(life, iter(found.items())) == []


def test_nothing_is_in_the_topic(life: Life) -> None:
    hay = bytes_of(life.here.setting("KAFKA"), life.here.setting("TOPIC"))
    assert life.person.id.encode() in hay
    assert finds(life, iter([("the topic", hay)])) == []


def test_nothing_is_in_the_logs(
    life: Life, kafka_broker: KafkaBroker, request: pytest.FixtureRequest
) -> None:
    files = sorted(life.here.logs.iterdir())
    assert {"serve.log", "relay.log", "project.log", "mail.log"} <= {file.name for file in files}
    assert b"/v1/logins" in (life.here.logs / "serve.log").read_bytes()
    files.append(kafka_broker.log)
    if "TWINLOCK_TEST_DATABASE" not in os.environ:
        files.append(_server(request).log)
    assert finds(life, ((file.name, file.read_bytes()) for file in files)) == []


def _server(request: pytest.FixtureRequest) -> Postgres:
    server: Postgres = request.getfixturevalue("postgres")
    return server


def given_to(life: Life, needle: Needle) -> list[str]:
    """The calls whose answers hold it."""
    said = (reply for reply in life.replies() if needle.found_in(reply.raw))
    return [f"{reply.call.method} {reply.call.path}" for reply in said]


def test_answers_hold_what_they_give_and_give_it_once(life: Life) -> None:
    member = f"/v1/workspaces/{life.person.workspace_id}/members/{life.person.id}"
    by_what = {needle.what: given_to(life, needle) for needle in life.needles}
    enrolment = f"POST {life.person.mfa}/enrolment"
    assert by_what.pop("the secret") == [enrolment]
    for what in ("the address", "the address's user"):
        assert set(by_what.pop(what)) <= {f"PUT {member}", enrolment}, what
    for what in ("the name", "the name's first half"):
        assert set(by_what.pop(what)) <= {f"PUT {member}"}, what
    for what in ("the ticket's title", "its text"):
        assert {path.partition("?")[0] for path in by_what.pop(what)} <= {"GET /v1/tickets"}, what
    for what in [w for w in by_what if w.startswith("recovery code")]:
        assert by_what.pop(what) == [f"POST {life.person.mfa}/binding"], what
    issued = {w for w in by_what if w.startswith("the token") and w[10:] not in life.here.tokens}
    assert len(issued) == 8
    for what in issued:
        assert len(by_what.pop(what)) == 1, what
    assert {what: where for what, where in by_what.items() if where} == {}


def test_mails_hold_only_their_own_code(life: Life) -> None:
    mails = [mail for mail in life.here.postbox.letters if mail.to == life.person.email]
    hay = "".join(f"{mail.subject}\n{mail.text}" for mail in mails).encode()
    hay += b"".join(mail.raw for mail in mails)
    mailed = {f"the code {each}" for each in life.person.mailed}
    secrets_ = ("the secret", "recovery code", "the token", "the code", "a digest")
    needles = [n for n in life.needles if n.what.startswith(secrets_) and n.what not in mailed]
    assert [n.what for n in needles if n.found_in(hay)] == []


def test_the_hunt_finds_what_is_there(life: Life) -> None:
    """Each kind of needle, planted the way it could leak."""
    raw = base64.b32decode(life.person.phone.secret)
    mailed, recovery = life.person.mailed[0], life.person.recovery_codes[0]
    planted = {
        "the secret": b"x" + raw + b"y",
        "the address": b'{"to": "' + life.person.email.encode() + b'"}',
        "the name": json.dumps(life.name).encode(),
        "recovery code 0": base64.b64encode(recovery.encode()),
        f"the code {mailed}": b"code=" + mailed.encode() + b"&",
        f"a digest of the code {mailed}": hashlib.sha256(mailed.encode()).hexdigest().encode(),
    }
    by_what = {needle.what: needle for needle in life.needles}
    assert [what for what, hay in planted.items() if not by_what[what].found_in(hay)] == []
