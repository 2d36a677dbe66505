"""What a login token may call, by the state of its login, and nothing else."""

from typing import Any

import pytest

from tests.http.installation import Installation, Person, ticket_body
from tests.http.routes import ANYONE, ROUTES, Things

STATES = ("enrolment_required", "code_required", "locked", "granted")
MINE = "/v1/members/{member_id}"
CALLS: dict[str, tuple[str, str, Any]] = {
    "read login": ("GET", "/v1/logins/{login_id}", None),
    "read mfa": ("GET", f"{MINE}/mfa", None),
    "email code": ("POST", f"{MINE}/mfa/email-codes", {"purpose": "bind"}),
    "enrolment": ("POST", f"{MINE}/mfa/enrolment", {"email_code": "000000"}),
    "binding": ("POST", f"{MINE}/mfa/binding", {"code": "000000"}),
    "code": ("POST", "/v1/logins/{login_id}/code", {"code": "000000"}),
    "ticket code": ("POST", "/v1/tickets/email-codes", {}),
    "ticket": ("POST", "/v1/tickets", ticket_body("none")),
    "unbinding": ("POST", f"{MINE}/mfa/unbinding", {"code": "000000"}),
    "recovery codes": ("POST", f"{MINE}/mfa/recovery-codes", {"code": "000000"}),
    "revocation": ("POST", f"{MINE}/sessions/revocation", None),
}
Told = tuple[int, str]
READS: dict[str, Told] = {"read login": (200, ""), "read mfa": (200, "")}
FILES: dict[str, Told] = {"ticket code": (202, ""), "ticket": (403, "code-rejected")}
ENROLS: dict[str, Told] = {
    "email code": (202, ""),
    "enrolment": (403, "code-rejected"),
    "binding": (409, "illegal-transition"),
}
MAY: dict[str, dict[str, Told]] = {
    "enrolment_required": {**READS, **ENROLS},
    "code_required": {**READS, **FILES, "code": (403, "code-rejected")},
    "locked": {**READS, **FILES, "code": (429, "locked")},
    "granted": {**READS, "code": (409, "illegal-transition")},
}
"""What each state opens, and what is told to a caller whose codes are wrong."""


def a_login(here: Installation, state: str) -> tuple[Person, dict[str, Any]]:
    """A login in that state."""
    workspace = here.workspace()
    if state == "enrolment_required":
        member = here.member(workspace)
        here.enforce(workspace)
        return member, here.login(member)
    member = here.bound(workspace)
    opened = here.login(member)
    path, token = f"/v1/logins/{opened['login_id']}/code", opened["login_token"]
    if state == "locked":
        here.clock.wait(seconds=30)
        for _ in range(5):
            here.post(path, token, {"code": "000000"})
    if state == "granted":
        assert here.post(path, token, {"code": here.code(member)}).status == 200
    return member, opened


@pytest.mark.parametrize("state", STATES)
def test_a_login_opens_only_what_its_state_needs(here: Installation, state: str) -> None:
    member, opened = a_login(here, state)
    token, names = opened["login_token"], {"member_id": member.id, **opened}
    told = here.get(f"/v1/logins/{opened['login_id']}", token)
    assert told.body["state"] == state
    for name, (method, path, body) in CALLS.items():
        answer = here.call(method, path.format(**names), token, body)
        assert answer.told == MAY[state].get(name, (403, "forbidden")), name


def test_a_granted_login_takes_no_second_code(here: Installation) -> None:
    member, opened = a_login(here, "granted")
    again = here.post(
        f"/v1/logins/{opened['login_id']}/code",
        opened["login_token"],
        {"code": here.code(member)},
    )
    assert again.told == (409, "illegal-transition")


def test_a_login_granted_at_once_has_a_pass_and_no_token(here: Installation) -> None:
    opened = here.login(here.member(here.workspace()))
    assert opened["state"] == "granted"
    assert opened["login_token"] is None
    assert opened["pass"]
    assert opened["expires_in"] == 12 * 3600
    assert opened["page"].startswith("https://mfa.example/login/?handover=")


@pytest.mark.parametrize("state", STATES)
def test_no_other_call_takes_a_login_token(here: Installation, state: str) -> None:
    member, opened = a_login(here, state)
    things = Things(member, opened["login_id"], "none")
    mine = {(method, path) for method, path, _ in CALLS.values()}
    for route in ROUTES:
        rule = (route.method, route.rule)
        if rule in mine:
            continue
        told = here.call(route.method, things.path(route), opened["login_token"], route.body).told
        expected = (404, "not-found") if "{ticket_id}" in route.rule else (403, "forbidden")
        assert told == expected, route.name
    assert {route.rule for route in ANYONE} >= {"/v1/tickets", "/v1/tickets/email-codes"}


def test_a_login_of_somebody_else_is_not_there(here: Installation) -> None:
    workspace = here.workspace()
    mine, theirs = (here.login(here.bound(workspace)) for _ in range(2))
    for path in ("/v1/logins/{login_id}", "/v1/logins/{login_id}/code"):
        method = "POST" if path.endswith("code") else "GET"
        told = here.call(method, path.format(**theirs), mine["login_token"], None).told
        assert told == (404, "not-found")


def test_revocation_ends_pending_logins(here: Installation) -> None:
    member = here.bound(here.workspace())
    opened = here.login(member)
    check = f"/v1/login-checks?workspace_id={member.workspace_id}&member_id={member.id}"
    before = here.get(check, "host").body["epoch"]
    revoked = here.post(f"/v1/members/{member.id}/sessions/revocation", "host")
    assert revoked.body == {"epoch": before + 1}
    assert here.get(check, "host").body["epoch"] == before + 1
    path = f"/v1/logins/{opened['login_id']}"
    assert here.get(path, opened["login_token"]).status == 401
    assert here.get(path, "host").told == (404, "not-found")
    assert here.get(f"/v1/members/{member.id}/mfa", member.granted).status == 401


def test_a_pending_login_lasts_ten_minutes(here: Installation) -> None:
    member = here.bound(here.workspace())
    for minutes, told in ((9, (200, "")), (10, (401, "unauthenticated"))):
        with here.clock.set_back(minutes=minutes):
            opened = here.login(member)
        path, token = f"/v1/logins/{opened['login_id']}", opened["login_token"]
        assert here.get(path, token).told == told
        assert here.post(f"{path}/code", token, {"code": here.code(member)}).told == told


def test_malformed_codes_leave_the_count_alone(here: Installation) -> None:
    member = here.bound(here.workspace())
    opened = here.login(member)
    path, token = f"/v1/logins/{opened['login_id']}/code", opened["login_token"]
    for body in ({}, {"code": 123456}, {"code": "12345"}, {"x": 1}):
        assert here.post(path, token, body).told == (422, "malformed")
    here.clock.wait(seconds=30)
    assert here.post(path, token, {"code": "000000"}).body["attempts_left"] == 4
