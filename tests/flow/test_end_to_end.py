"""Every flow from outside: HTTP over a socket, real mails, a scanned QR code, oathtool, kcat."""

import base64
import json
import re
import time
from collections import Counter
from dataclasses import replace
from datetime import datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jsonschema import Draft202012Validator

from tests.flow.client import Client
from tests.flow.installation import Installation
from tests.flow.people import (
    Person,
    a_bound_member,
    a_member,
    a_workspace,
    bind,
    confirm_mailbox,
    enforce,
    enrol,
    enter,
    file_ticket,
    log_in,
    opens,
    pass_with_code,
)
from tests.flow.postbox import LINK
from tests.flow.topics import Record, consume, first_of_each

pytestmark = [pytest.mark.live, pytest.mark.kafka]
POISON = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
SCHEMAS = Path(__file__).parents[1] / "contracts/schemas"


def records(whole: Installation) -> list[Record]:
    """What `kcat` reads."""
    return consume(whole.setting("KAFKA"), whole.setting("TOPIC"))


def told(whole: Installation, subject: str, position: int) -> list[str]:
    """The types of a subject's events on Kafka, once the position has passed through."""
    whole.settle(position)
    events = [r.event for r in first_of_each(records(whole)).values()]
    mine = sorted((e for e in events if e["subject"] == subject), key=lambda e: int(e["id"]))
    return [str(e["type"]).removeprefix("twinlock.").removesuffix(".v1") for e in mine]


def claims(whole: Installation, token: str) -> dict[str, Any]:
    """A pass's claims, after its signature was verified with the published key."""
    head, body, signature = (part + "=" * (-len(part) % 4) for part in token.split("."))
    kid = json.loads(base64.urlsafe_b64decode(head))["kid"]
    keys = whole.client.get("/.well-known/jwks.json").body["keys"]
    (point,) = (key["x"] for key in keys if key["kid"] == kid)
    key = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(point + "="))
    signed = token.rpartition(".")[0].encode()
    key.verify(base64.urlsafe_b64decode(signature), signed)
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body))
    return found


def work(whole: Installation, ticket: str, what: str, agent: str = "support") -> tuple[int, Any]:
    """An agent does something with a ticket."""
    body = {"reason": "Known by voice."} if what in ("approve", "reject") else None
    done = whole.client.post(f"/v1/tickets/{ticket}/{what}", whole.tokens[agent], body)
    return done.status, done.body.get("status")


def status(whole: Installation, person: Person, position: int = 0) -> str:
    """Where a member's second factor stands."""
    path = f"{person.mfa}?at_least={position}"
    return str(whole.as_host("GET", path).body["status"])


def test_enforced_members_enrol_log_in_and_unbind(whole: Installation) -> None:
    workspace = a_workspace(whole, enforced=True)
    person = a_member(whole, workspace)
    login = log_in(whole, person)
    assert (login["state"], login["pass"]) == ("enrolment_required", None)

    token = login["login_token"]
    shown = enrol(whole, person, token, confirm_mailbox(whole, person, token))
    assert person.phone.secret == shown["secret"]
    assert f"secret={shown['secret']}" in shown["otpauth_uri"]
    assert status(whole, person) == "enrolling"
    code = person.phone.code()
    bound = whole.client.post(f"{person.mfa}/binding", token, {"code": code})
    assert (bound.status, bound.body["status"]) == (201, "bound")
    assert len(set(bound.body["recovery_codes"])) == 10
    assert claims(whole, bound.body["pass"])["amr"] == ["pwd", "otp", "mfa"]
    assert opens(whole, bound.body["pass"], workspace)

    again = log_in(whole, person)
    assert again["state"] == "code_required"
    assert enter(whole, again, code=code).told == (403, "code-rejected")
    refused = enter(whole, again, code=person.phone.wrong())
    assert (refused.told, refused.body["attempts_left"]) == ((403, "code-rejected"), 4)
    granted = enter(whole, again, code=person.phone.code())
    assert (granted.status, granted.body["state"]) == (200, "granted")
    assert claims(whole, granted.body["pass"])["sub"] == person.id

    proof = {"code": person.phone.code()}
    off = whole.client.post(f"{person.mfa}/unbinding", granted.body["pass"], proof)
    assert (off.status, off.body["status"], off.body["pass"]) == (200, "not_bound", None)
    assert status(whole, person, off.position) == "not_bound"
    assert not opens(whole, granted.body["pass"], workspace)
    whole.postbox.wait(person.email, re.compile("MFA was unbound"))
    last = log_in(whole, person)
    assert last["state"] == "enrolment_required"
    assert told(whole, f"member/{person.id}", off.position) == [
        "mfa.registered",
        "mfa.email_code_sent",
        "mfa.email_code_confirmed",
        "mfa.enrolment_started",
        "mfa.bound",
        "mfa.recovery_codes_issued",
        "mfa.code_rejected",
        "mfa.code_rejected",
        "mfa.code_accepted",
        "mfa.code_accepted",
        "mfa.unbound",
    ]


def test_an_owner_enforces_the_policy_with_a_fresh_code(whole: Installation) -> None:
    workspace = a_workspace(whole)
    owner, member = a_member(whole, workspace, "owner"), a_member(whole, workspace)
    policy = f"/v1/workspaces/{workspace}/mfa-policy"
    entered = log_in(whole, member)["pass"]
    assert claims(whole, entered)["amr"] == ["pwd"]
    asked = {"mode": "enforced", "code": "000000"}
    unbound = whole.client.put(policy, log_in(whole, owner)["pass"], asked)
    assert unbound.told == (409, "not-bound")

    token = bind(whole, owner)
    head = whole.as_host("POST", "/v1/logins", {"workspace_id": workspace, "member_id": member.id})
    seen = whole.client.get(f"{policy}/preview?at_least={head.position}", token)
    assert [item["member_id"] for item in seen.body["items"]] == [member.id]
    assert whole.client.put(policy, token, {"mode": "enforced"}).told == (422, "malformed")
    asked["code"] = owner.phone.code()
    done = whole.client.put(policy, token, asked)
    assert (done.status, done.body["mode"]) == (200, "enforced")
    assert done.body["changed_by"] == {"kind": "member", "id": owner.id}
    assert not opens(whole, entered, workspace)
    assert log_in(whole, member)["state"] == "enrolment_required"
    whole.postbox.wait(owner.email, re.compile("MFA is now enforced in A workspace"))
    types = told(whole, f"workspace/{workspace}", done.position)
    added = ["workspace.member_added"] * 2
    assert types == ["workspace.created", *added, "workspace.policy_enforced"]


def test_a_ticket_with_the_first_factor_ends_not_bound(whole: Installation) -> None:
    person = a_bound_member(whole, a_workspace(whole, enforced=True))
    filed = file_ticket(whole, person, log_in(whole, person)["login_token"])
    ticket = filed.body["ticket_id"]
    whole.settle(filed.position)
    queue = whole.client.get("/v1/tickets?status=submitted", whole.tokens["support"]).body
    (mine,) = (item for item in queue["items"] if item["ticket_id"] == ticket)
    assert (mine["first_factor_proven"], mine["approvals_needed"]) == (True, 1)

    assert work(whole, ticket, "approve")[0] == 409
    assert work(whole, ticket, "claim") == (200, "in_review")
    assert work(whole, ticket, "approve", "other_support")[0] == 403
    assert work(whole, ticket, "approve") == (200, "approved")
    assert work(whole, ticket, "approve")[0] == 409
    assert status(whole, person) == "not_bound"
    whole.postbox.wait(person.email, re.compile("Your request was approved"))
    assert log_in(whole, person)["state"] == "enrolment_required"
    shown = whole.client.get(f"/v1/tickets/{ticket}", filed.body["ticket_token"]).body
    assert (shown["status"], shown["assignee"]) == ("approved", None)


def test_a_ticket_from_the_mailbox_alone_needs_two_agents(whole: Installation) -> None:
    person = a_bound_member(whole, a_workspace(whole))
    filed = file_ticket(whole, person)
    ticket = filed.body["ticket_id"]
    assert work(whole, ticket, "claim") == (200, "in_review")
    assert work(whole, ticket, "approve") == (200, "in_review")
    assert work(whole, ticket, "approve")[0] == 403
    assert status(whole, person) == "bound"
    assert work(whole, ticket, "approve", "other_support") == (200, "approved")
    assert status(whole, person) == "not_bound"
    assert log_in(whole, person)["state"] == "granted"
    done = whole.client.replies[-1].position
    types = told(whole, f"ticket/{ticket}", done)
    assert Counter(types) == {
        "ticket.submitted": 1,
        "ticket.claimed": 1,
        "ticket.approval_given": 2,
        "ticket.approved": 1,
    }
    assert told(whole, f"member/{person.id}", done).count("mfa.unbound") == 1


def test_the_mailed_link_cancels_and_looking_at_it_does_not(whole: Installation) -> None:
    person = a_bound_member(whole, a_workspace(whole))
    poisoned = replace(whole, client=Client(whole.client.address, headers=POISON))
    login = log_in(poisoned, person)
    assert login["page"].startswith(f"{whole.url}/login/?handover=")
    filed = file_ticket(poisoned, person, login["login_token"])
    path = f"/v1/tickets/{filed.body['ticket_id']}"
    link = whole.postbox.wait(person.email, LINK).removeprefix(whole.url)
    assert link.startswith(f"{path.removeprefix('/v1')}/cancel?token=")
    assert b"<button" in whole.client.get(link).content
    token = filed.body["ticket_token"]
    assert whole.client.get(path, token).body["status"] == "submitted"
    page, _, query = link.partition("?")
    assert press(whole, page, query) == 200
    assert whole.client.get(path, token).body["status"] == "cancelled"
    assert status(whole, person) == "bound"
    whole.postbox.wait(person.email, re.compile("Your request was cancelled"))
    assert work(whole, filed.body["ticket_id"], "claim")[0] == 409


def press(whole: Installation, page: str, query: str) -> int:
    """Send the form of a page."""
    connection = HTTPConnection(whole.client.address, timeout=20)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", page, query, form)
    answered = connection.getresponse().status
    connection.close()
    return answered


def test_a_recovery_code_stands_in_for_the_phone_once(whole: Installation) -> None:
    person = a_bound_member(whole, a_workspace(whole))
    spare = person.recovery_codes[3]
    granted = enter(whole, log_in(whole, person), recovery_code=spare)
    assert granted.status == 200
    assert claims(whole, granted.body["pass"])["amr"] == ["pwd", "otp", "mfa"]
    whole.postbox.wait(person.email, re.compile("A recovery code was used"))
    assert enter(whole, log_in(whole, person), recovery_code=spare).told == (403, "code-rejected")
    another = {"recovery_code": person.recovery_codes[4]}
    off = whole.client.post(f"{person.mfa}/unbinding", granted.body["pass"], another)
    assert (off.status, off.body["status"]) == (200, "not_bound")
    assert claims(whole, off.body["pass"])["amr"] == ["pwd"]


def test_a_revocation_ends_passes_and_pending_logins(whole: Installation) -> None:
    workspace = a_workspace(whole)
    person = a_bound_member(whole, workspace)
    token, pending = pass_with_code(whole, person), log_in(whole, person)
    assert opens(whole, token, workspace)
    revoked = whole.as_host("POST", f"/v1/members/{person.id}/sessions/revocation")
    asked = time.monotonic()
    deadline = asked + 5
    while opens(whole, token, workspace):
        assert asked < deadline  # what counts is when it was asked, not how long the answer took
        asked = time.monotonic()
    assert enter(whole, pending, code=person.phone.wrong()).status == 401
    fresh = pass_with_code(whole, person)
    assert claims(whole, fresh)["epoch"] == revoked.body["epoch"]


def test_a_grace_period_lets_in_and_says_until_when(whole: Installation) -> None:
    workspace = a_workspace(whole)
    person = a_member(whole, workspace)
    until = "2099-01-01T00:00:00Z"
    body = {"mode": "enforced", "grace_until": until}
    whole.as_host("PUT", f"/v1/workspaces/{workspace}/mfa-policy", body)
    login = log_in(whole, person)
    assert (login["state"], login["enrolment_due_at"]) == ("granted", until)
    enforce(whole, workspace)
    assert log_in(whole, person)["state"] == "enrolment_required"


def schema_of(whole: Installation, event: dict[str, Any]) -> dict[str, Any]:
    """The published schema that an event names."""
    path = event["dataschema"].removeprefix(whole.url)
    served = whole.client.get(path)
    if served.status != 200:
        published = SCHEMAS / f"{path.rpartition('/')[2]}.json"
        return dict(json.loads(published.read_text()))
    return dict(served.body)


def test_the_topic_is_the_store_and_every_record_is_as_published(whole: Installation) -> None:
    workspace = a_workspace(whole)
    person = a_member(whole, workspace)
    revoked = whole.as_host("POST", f"/v1/members/{person.id}/sessions/revocation")
    whole.settle(revoked.position)
    found = records(whole)
    by_id = first_of_each(found)
    assert list_of_all(whole) == [by_id[id_].event for id_ in sorted(by_id)]

    schemas: dict[str, dict[str, Any]] = {}
    for record in by_id.values():
        event = record.event
        if event["type"] not in schemas:
            schemas[event["type"]] = schema_of(whole, event)
        schema = schemas[event["type"]]
        entire = "specversion" in schema["properties"]
        Draft202012Validator(schema).validate(event if entire else event["data"])
        assert datetime.fromisoformat(event["time"]).utcoffset() is not None
        assert event["source"] == whole.url
        assert record.headers["content-type"].startswith("application/cloudevents+json")
        carried = {k: v for k, v in record.headers.items() if k != "content-type"}
        assert carried.items() <= event.items()
    assert len(schemas) >= 3
    assert_order(found)


def assert_order(found: list[Record]) -> None:
    """Records of one key are in one partition, and come in the order of positions."""
    keys: dict[str, list[Record]] = {}
    for record in sorted(found, key=lambda r: (r.partition, r.offset)):
        keys.setdefault(record.key, []).append(record)
    for same in keys.values():
        assert len({record.partition for record in same}) == 1
        ids = list(dict.fromkeys(int(record.event["id"]) for record in same))
        assert ids == sorted(ids)


def list_of_all(whole: Installation) -> list[Any]:
    """Every event as the API tells them."""
    found: list[Any] = []
    after = 0
    while True:
        page = whole.client.get(f"/v1/events?after={after}&limit=500", whole.tokens["auditor"])
        found += page.body["events"]
        after = page.body["next_after"]
        if len(page.body["events"]) < 500:
            return found
