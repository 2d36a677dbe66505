"""A small installation behind a test client, and the words that its visitors use."""

import base64
import hashlib
import hmac
import secrets
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask
from werkzeug.datastructures import Headers

from api.app import create_app
from api.backend import Backend
from commands.create_token import CreateToken
from commands.dispatch import run
from domain.facts import Actor
from domain.member_facts import EmailCodeSent
from domain.member_mfa import MemberMFA
from domain.onetime import ANONYMOUS, BIND, TICKET, email_code
from projections.models import MODELS
from tests.support.built import some_settings
from twinlock.adapters.embedded import EmbeddedLog
from twinlock.adapters.mapper import decode
from twinlock.backend import backend, envelope
from twinlock.composition import Twinlock, build
from workers.projector import Projector

STAFF = "staff"
PUBLIC_URL = "https://mfa.example"


class Clock:
    """Real time, plus what the test has let pass."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def wait(self, **span: float) -> None:
        """Let time pass."""
        self.ahead += timedelta(**span)

    @contextmanager
    def set_back(self, **span: float) -> Iterator[None]:
        """Be so long ago within the block; the database's own clock, by which tokens end, stays."""
        ahead, self.ahead = self.ahead, -timedelta(**span)
        try:
            yield
        finally:
            self.ahead = ahead


def totp(secret: str, at: datetime) -> str:
    """The code of RFC 6238, written independently of the application."""
    counter = struct.pack(">Q", int(at.timestamp()) // 30)
    digest = hmac.new(base64.b32decode(secret), counter, hashlib.sha1).digest()
    start = digest[-1] & 15
    number = int.from_bytes(digest[start : start + 4]) & 0x7FFFFFFF
    return f"{number % 10**6:06d}"


@dataclass(frozen=True)
class Reply:
    """What came back; `body` is the JSON, `slug` that of a problem."""

    status: int
    body: Any
    text: str
    headers: Headers

    @property
    def slug(self) -> str:
        """Why not."""
        return str(self.body["type"]).rpartition("/")[2] if self.status >= 400 else ""

    @property
    def told(self) -> tuple[int, str]:
        """Status and slug."""
        return self.status, self.slug


@dataclass
class Person:
    """A member with what it knows."""

    id: str
    workspace_id: str
    email: str
    secret: str = ""
    recovery_codes: list[str] = field(default_factory=list)
    granted: str = ""


@dataclass
class Installation:
    """Calls the application as whoever holds a token."""

    twinlock: Twinlock
    backend: Backend
    clock: Clock
    app: Flask
    tokens: dict[str, str]

    def call(
        self,
        method: str,
        path: str,
        token: str | None = None,
        body: Any = None,
        **more: Any,
    ) -> Reply:
        """One request; `token` is a role of an API token, or a token."""
        headers = dict(more.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {self.tokens.get(token, token)}"
        if body is not None:
            more["json"] = body
        answer = self.app.test_client(use_cookies=False).open(
            path, method=method, headers=headers, **more
        )
        body = answer.get_json() if answer.is_json and answer.data else None
        reply = Reply(answer.status_code, body, answer.text, answer.headers)
        answer.close()
        return reply

    def get(self, path: str, token: str | None = None, **more: Any) -> Reply:
        """Ask."""
        return self.call("GET", path, token, **more)

    def post(self, path: str, token: str | None = None, body: Any = None, **more: Any) -> Reply:
        """Command."""
        return self.call("POST", path, token, body, **more)

    def put(self, path: str, token: str | None = None, body: Any = None, **more: Any) -> Reply:
        """Put in place."""
        return self.call("PUT", path, token, body, **more)

    def token(self, role: str, workspace_id: str | None = None, member: str | None = None) -> str:
        """A new API token."""
        command = CreateToken(role=role, name="test", workspace_id=workspace_id, member_id=member)
        made = run(command, self.twinlock.context(Actor("operator"), "test"), self.twinlock.desk)
        token: str = made.token
        return token

    def workspace(self, **profile: Any) -> str:
        """A new workspace."""
        id_ = f"w-{secrets.token_hex(4)}"
        put = self.put(f"/v1/workspaces/{id_}", "host", {"name": "A workspace", **profile})
        assert put.status == 201, put.text
        return id_

    def member(self, workspace_id: str, role: str = "member") -> Person:
        """A new member."""
        id_ = f"m-{secrets.token_hex(4)}"
        person = Person(id_, workspace_id, f"{id_}@example.org")
        self.join(person, workspace_id, role)
        return person

    def join(self, person: Person, workspace_id: str, role: str = "member") -> None:
        """Make the person a member of a workspace, too."""
        body = {"email": person.email, "name": "Somebody", "role": role}
        put = self.put(f"/v1/workspaces/{workspace_id}/members/{person.id}", "host", body)
        assert put.status in (200, 201), put.text

    def enforce(self, workspace_id: str, **more: Any) -> None:
        """The host enforces the policy."""
        body = {"mode": "enforced", **more}
        put = self.put(f"/v1/workspaces/{workspace_id}/mfa-policy", "host", body)
        assert put.status == 200, put.text

    def login(self, person: Person, **more: Any) -> dict[str, Any]:
        """The host opens a login."""
        body = {"workspace_id": person.workspace_id, "member_id": person.id, **more}
        opened = self.post("/v1/logins", "host", body)
        assert opened.status == 201, opened.text
        return dict(opened.body)

    def mailed(self, person: Person, purpose: str, challenge_id: str | None = None) -> str:
        """The code in the member's mailbox."""
        member = self.twinlock.store.load(MemberMFA, person.id)
        if challenge_id is None:
            challenge_id = next(c.id for c in member.challenges if c.purpose == purpose)
        key = self.twinlock.keys.derived("email-codes")
        return email_code(key, purpose=purpose, member_id=person.id, challenge_id=challenge_id)

    def code(self, person: Person) -> str:
        """A code of a step that was not spent."""
        self.clock.wait(seconds=30)
        return totp(person.secret, self.clock())

    def enrol(self, person: Person, token: str) -> dict[str, Any]:
        """Prove the mailbox and get a secret."""
        sent = self.post(f"/v1/members/{person.id}/mfa/email-codes", token, {"purpose": "bind"})
        assert sent.status == 202, sent.text
        body = {"email_code": self.mailed(person, BIND)}
        started = self.post(f"/v1/members/{person.id}/mfa/enrolment", token, body)
        assert started.status == 201, started.text
        person.secret = started.body["secret"]
        return dict(started.body)

    def bind(self, person: Person, token: str | None = None) -> str:
        """Bind an authenticator; answers the new pass."""
        if token is None:
            opened = self.login(person)
            token = opened["pass"] or opened["login_token"]
        self.enrol(person, token)
        body = {"code": self.code(person)}
        bound = self.post(f"/v1/members/{person.id}/mfa/binding", token, body)
        assert bound.status == 201, bound.text
        person.recovery_codes = bound.body["recovery_codes"]
        person.granted = bound.body["pass"]
        return person.granted

    def bound(self, workspace_id: str, role: str = "member") -> Person:
        """A new member with an authenticator and a pass after a code."""
        person = self.member(workspace_id, role)
        self.bind(person)
        return person

    def pass_of(self, person: Person) -> str:
        """A pass without a second factor."""
        given: str = self.login(person)["pass"]
        return given

    def ticket(self, person: Person, login_token: str | None = None) -> dict[str, Any]:
        """File a ticket."""
        body = {} if login_token else {"email": person.email}
        sent = self.post("/v1/tickets/email-codes", login_token, body)
        assert sent.status == 202, sent.text
        purpose = TICKET if login_token else ANONYMOUS
        code = self.mailed(person, purpose, sent.body["challenge_id"])
        filed = self.post(
            "/v1/tickets",
            login_token,
            {**body, **ticket_body(sent.body["challenge_id"], code)},
        )
        assert filed.status == 201, filed.text
        return dict(filed.body)

    def codes_sent(self, person: Person, purpose: str) -> int:
        """How many codes for that were made for the member's mailbox: a mail each."""
        records = [
            e for e in self.twinlock.store.events(0, 100_000) if e.stream.endswith(person.id)
        ]
        facts = [decode(e.stream, e.version, e.topic, e.state).fact for e in records]
        return sum(isinstance(f, EmailCodeSent) and f.purpose == purpose for f in facts)

    @contextmanager
    def another_process(self, **settings: Any) -> Iterator["Installation"]:
        """One that was started on the same database: it knows what is written there, no more."""
        twinlock = build(self.twinlock.settings.model_copy(update=settings))
        handed = replace(backend(twinlock), clock=self.clock)
        try:
            yield replace(self, twinlock=twinlock, backend=handed, app=create_app(handed))
        finally:
            twinlock.close()

    def with_backend(self, **changed: Any) -> "Installation":
        """The same, behind an application with another setting."""
        changed_backend = replace(self.backend, **changed)
        return replace(self, backend=changed_backend, app=create_app(changed_backend))


def ticket_body(challenge_id: str, code: str = "ABCDEFGH") -> dict[str, Any]:
    """What a requester writes."""
    return {
        "type": "unbind_mfa",
        "title": "Lost phone",
        "description": "It fell\ninto a lake.",
        "challenge_id": challenge_id,
        "email_code": code,
    }


@contextmanager
def installed(database: str, **settings: Any) -> Iterator[Installation]:
    """An installation on a database of its own, with running projectors."""
    made = {"public_url": PUBLIC_URL, "staff_workspace": STAFF, "anonymous_limit": 100000}
    twinlock = build(some_settings(database, **{**made, **settings}))
    twinlock.migrate()
    stop = threading.Event()
    log = EmbeddedLog(twinlock.store, envelope(twinlock))
    projectors = [Projector(m, twinlock.connect, log, envelope(twinlock)) for m in MODELS]
    threads = [threading.Thread(target=p.run, args=(stop,)) for p in projectors]
    for thread in threads:
        thread.start()
    try:
        yield _prepared(twinlock)
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
        twinlock.close()


def _prepared(twinlock: Twinlock) -> Installation:
    clock = Clock()
    handed = replace(backend(twinlock), clock=clock)
    made = Installation(twinlock, handed, clock, create_app(handed), {})
    made.tokens.update(
        host=made.token("host"),
        support=made.token("support", member="agent-a"),
        other_support=made.token("support", member="agent-b"),
        auditor=made.token("auditor"),
        analyst=made.token("analyst"),
    )
    put = made.put(f"/v1/workspaces/{STAFF}", "host", {"name": "Staff"})
    assert put.status == 201, put.text
    return made
