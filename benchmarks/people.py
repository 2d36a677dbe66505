"""Members by the thousand, written straight into the tables: bound, with logins under way."""

import base64
import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.load import written
from domain import totp
from domain.facts import Actor, Event, Fact
from domain.member_facts import (
    CodeAccepted,
    CodeRejected,
    MemberAdded,
    MFABound,
    MFAUnbound,
    Registered,
    TicketClosed,
    TicketOpened,
)
from domain.unbind_ticket import (
    APPROVED,
    ApprovalGiven,
    TicketApproved,
    TicketClaimed,
    TicketSubmitted,
)
from domain.workspace import PolicyEnforced, Workspace, WorkspaceCreated
from projections.models import MODELS, Model
from twinlock.adapters.keyring import KEY_BYTES, item_label, seal
from twinlock.adapters.mapper import encode
from twinlock.backend import log_of, partition_of
from twinlock.composition import Twinlock
from workers.rebuild import rebuild
from workers.rebuild_marks import Live

WORKSPACE = "bench"
HOST = Actor("host", "bench")
LONG_AGO = datetime.now(UTC) - timedelta(days=90)
AT_ONCE = 20_000
"""Events that are written in one transaction."""
BEGUN = 3
"""Events of a member who has entered no code since binding."""
TABLES = {
    "stored_events": "originator_id, originator_version, topic, state",
    "vault_keys": "owner, key_id, wrapped",
    "vault_items": "owner, item, sealed",
    "credentials": "token_hash, kind, subject, claims, expires_at",
}
Rows = dict[str, list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Person:
    """A bound member with a pending login, and what its browser and authenticator know."""

    id: str
    secret: str = field(repr=False)
    token: str = field(repr=False)

    def right(self) -> bytes:
        """The request that enters the code of this moment."""
        return self._enters(totp.code_for(self.secret, totp.step_at(datetime.now(UTC))))

    def wrong(self) -> bytes:
        """The request that enters a code of no step near."""
        now = totp.step_at(datetime.now(UTC))
        near = {totp.code_for(self.secret, step) for step in range(now - 3, now + 5)}
        return self._enters(next(c for c in map("{:06}".format, range(99)) if c not in near))

    def _enters(self, code: str) -> bytes:
        body = json.dumps({"code": code}).encode()
        return written("POST", f"/v1/logins/login-{self.id}/code", self.token, body)


def add(
    twinlock: Twinlock, first: int, count: int, *, codes: int = 0, rejected: bool = False
) -> list[Person]:
    """Write bound members, each with `codes` further codes in its history, and with a login."""
    people = [_person(number) for number in range(first, first + count)]
    at_once = max(1, AT_ONCE // (BEGUN + codes))
    for start in range(0, count, at_once):
        _write(twinlock, _rows(twinlock, people[start : start + at_once], codes, rejected))
    return people


def file_tickets(twinlock: Twinlock, people: Iterable[Person]) -> None:
    """Write a ticket of each: first all are filed, then all are claimed, then all are approved.

    So a projector meets the events of one ticket in different batches, as it does in service.
    Nobody reads their texts here: there are none.
    """
    for events in zip(*map(_ticket, people), strict=True):
        _write(twinlock, {"stored_events": [_stored(event) for some in events for event in some]})


def _write(twinlock: Twinlock, rows: Rows) -> None:
    with twinlock.connect() as connection, connection.transaction():
        for table, found in rows.items():
            query = f"copy {table} ({TABLES[table]}) from stdin".encode()
            with connection.cursor().copy(query) as copy:
                for row in found:
                    copy.write_row(row)


def found_workspace(twinlock: Twinlock) -> None:
    """The workspace of them all, its policy enforced."""
    context = twinlock.context(HOST, "bench")
    facts = [WorkspaceCreated(), PolicyEnforced(grace_until=None)]
    twinlock.store.append(context, (Workspace(WORKSPACE), facts))


def project(twinlock: Twinlock, *models: Model) -> None:
    """Make the read models out of the store, and leave the rest to projectors."""
    log, partition = log_of(twinlock.settings), partition_of(twinlock.settings)
    for model in models or MODELS:
        rebuild(model, twinlock.connect, Live(model.key, log, partition), lambda *_: None)


def settle(twinlock: Twinlock) -> None:
    """Statistics as autovacuum would have made them by now, and no write-back left over."""
    with twinlock.connect() as connection:
        connection.execute("vacuum analyze")
        connection.execute("checkpoint")
    time.sleep(0.5)


def _person(number: int) -> Person:
    secret = base64.b32encode(os.urandom(totp.SECRET_BYTES)).decode()
    return Person(f"m{number}", secret, base64.urlsafe_b64encode(os.urandom(32)).decode()[:43])


def _rows(twinlock: Twinlock, people: Sequence[Person], codes: int, rejected: bool) -> Rows:
    rows: Rows = {table: [] for table in TABLES}
    for person in people:
        rows["stored_events"] += map(_stored, history(person.id, codes, rejected))
        owner, key = f"member/{person.id}", os.urandom(KEY_BYTES)
        key_id, wrapped = twinlock.vault._keyring.wrap(key, owner.encode())
        item = f"totp/b-{person.id}"
        sealed = seal(key, person.secret.encode(), item_label(owner, item))
        rows["vault_keys"].append((owner, key_id, wrapped))
        rows["vault_items"].append((owner, item, sealed))
        rows["credentials"].append(_login(person))
    return rows


def _stored(event: Event) -> tuple[Any, ...]:
    return (event.stream, event.version, event.fact.topic(), encode(event))


def history(member_id: str, codes: int, rejected: bool) -> Iterator[Event]:
    """Registered, added, bound, then so many codes, every second one wrong where asked."""
    binding = f"b-{member_id}"
    facts: list[Fact] = [
        Registered(),
        MemberAdded(workspace_id=WORKSPACE, member_id=member_id, role="member"),
        MFABound(binding_id=binding, step=1, workspace_id=WORKSPACE, login_id=None),
    ]
    for number in range(codes):
        wrong = rejected and number % 2
        facts.append(
            CodeRejected(purpose="login", reason="wrong", login_id=f"l{number}")
            if wrong
            else CodeAccepted(
                purpose="login", binding_id=binding, step=2 + number, login_id=f"l{number}"
            )
        )
    yield from _events(f"member/{member_id}", facts)


def _ticket(person: Person) -> tuple[list[Event], ...]:
    """Both sides of a ticket that is filed, claimed and approved."""
    ticket, binding = f"t-{person.id}", f"b-{person.id}"
    filed = TicketSubmitted(
        member_id=person.id, binding_id=binding, first_factor_proven=True, approvals_needed=1
    )
    approval = (ApprovalGiven(agent_id="agent"), TicketApproved())
    worked = _events(f"ticket/{ticket}", (filed, TicketClaimed(agent_id="agent"), *approval))
    unbound = MFAUnbound(binding_id=binding, method="ticket", ticket_id=ticket)
    told = (
        TicketOpened(ticket_id=ticket),
        unbound,
        TicketClosed(ticket_id=ticket, status=APPROVED),
    )
    submitted, claimed, *approved = worked
    opened, *closed = _events(f"member/{person.id}", told, BEGUN + 1)
    return [opened, submitted], [claimed], [*approved, *closed]


def _events(stream: str, facts: Iterable[Fact], first: int = 1) -> Iterator[Event]:
    for version, fact in enumerate(facts, first):
        yield Event(
            stream=stream,
            version=version,
            fact=fact,
            at=LONG_AGO + timedelta(seconds=version),
            actor=HOST,
            request_id="bench",
            workspace_id=WORKSPACE,
        )


def _login(person: Person) -> tuple[Any, ...]:
    claims = {
        "workspace_id": WORKSPACE,
        "member_id": person.id,
        "revocations": 0,
        "return_url": None,
        "state": None,
        "first_factor_changed_at": None,
    }
    token = hashlib.sha256(person.token.encode()).digest()
    expires_at = datetime.now(UTC) + timedelta(hours=2)
    return (token, "login", f"login-{person.id}", json.dumps(claims), expires_at)
