"""Refusals come in one order: 401, 404, 403, 422, 409, 429, and the code itself last."""

import pytest

from tests.http.installation import Installation, Person
from tests.http.routes import ANYONE, NOTHING, ROUTES, Route, Things

NAMES = [route.name for route in ROUTES]
WRONG = {"unknown": "field"}


@pytest.fixture(scope="module")
def things(here: Installation) -> Things:
    """A member with a login and a ticket."""
    member = here.bound(here.workspace())
    opened = here.login(member)
    return Things(member, opened["login_id"], here.ticket(member)["ticket_id"])


def test_every_call_is_in_the_table(here: Installation) -> None:
    listed = {(route.method, route.template) for route in (*ROUTES, *ANYONE)}
    served = {
        (method, rule.rule)
        for rule in here.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD"}
        if rule.rule.startswith(("/v1/", "/.well-known", "/healthz", "/readyz"))
    }
    assert served == listed


@pytest.mark.parametrize("route", ROUTES, ids=NAMES)
@pytest.mark.parametrize("token", [None, "no-such-token", "a.b.c", "with space", "é"])
def test_without_a_credential_everything_else_is_not_looked_at(
    here: Installation, things: Things, route: Route, token: str | None
) -> None:
    for about in (things, NOTHING):
        refused = here.call(route.method, about.path(route), token, WRONG)
        assert refused.told == (401, "unauthenticated")
        assert refused.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("route", [r for r in ROUTES if r.named], ids=lambda r: r.name)
@pytest.mark.parametrize("role", ["host", "support", "auditor", "analyst"])
def test_what_is_not_there_is_not_found_before_permission_and_input(
    here: Installation, route: Route, role: str
) -> None:
    refused = here.call(route.method, NOTHING.path(route), role, WRONG)
    made_by_host = (route.method, route.rule) == ("PUT", "/v1/workspaces/{workspace_id}")
    expected = (422, "malformed") if made_by_host and role == "host" else (404, "not-found")
    assert refused.told == expected


MAY_NOT = [
    pytest.param(route, role, id=f"{role} {route.name}")
    for route in ROUTES
    for role in ("host", "support", "auditor", "analyst")
    if role not in route.allowed
]


@pytest.mark.parametrize(("route", "role"), MAY_NOT)
def test_a_role_that_may_not_is_forbidden_before_the_input_is_looked_at(
    here: Installation, things: Things, route: Route, role: str
) -> None:
    refused = here.call(route.method, things.path(route), role, WRONG)
    assert refused.told == (403, "forbidden")


@pytest.mark.parametrize(
    "route", [r for r in ROUTES if r.allowed != {"login"}], ids=lambda r: r.name
)
def test_unknown_fields_and_parameters_are_malformed_for_those_who_may(
    here: Installation, things: Things, route: Route
) -> None:
    role = next((r for r in ("host", "support", "auditor") if r in route.allowed), None)
    token = role or things.member.granted
    if route.method != "GET" and route.method != "DELETE":
        refused = here.call(route.method, things.path(route), token, WRONG)
        assert refused.told == (422, "malformed")
    mark = "&" if "?" in route.rule else "?"
    refused = here.call(route.method, f"{things.path(route)}{mark}unknown=1", token, route.body)
    assert refused.told == (422, "malformed")


def test_malformed_goes_before_conflict_and_conflict_before_lock(here: Installation) -> None:
    member = here.member(here.workspace())
    granted = here.pass_of(member)
    me = f"/v1/members/{member.id}/mfa"
    assert here.post(f"{me}/binding", granted, {"code": "12345"}).told == (422, "malformed")
    assert here.post(f"{me}/binding", granted, {"code": "123456"}).told == (
        409,
        "illegal-transition",
    )
    here.enrol(member, granted)
    for _ in range(5):
        assert here.post(f"{me}/binding", granted, {"code": "000000"}).status == 403
    right = {"code": here.code(member)}
    assert here.post(f"{me}/binding", granted, right).told == (429, "locked")
    assert here.post(f"{me}/unbinding", granted, right).told == (409, "not-bound")
    assert here.post(f"{me}/binding", granted, {"code": 1}).told == (422, "malformed")
    other = {**right, "enrolment_id": "another"}
    assert here.post(f"{me}/binding", granted, other).told == (409, "illegal-transition")


def test_a_lock_while_binding_is_told_as_a_lock_with_a_login_token_too(here: Installation) -> None:
    workspace = here.workspace()
    here.enforce(workspace)
    member = here.member(workspace)
    opened, me = here.login(member), f"/v1/members/{member.id}/mfa"
    token = opened["login_token"]
    here.enrol(member, token)
    for left in (4, 3, 2, 1, 0):
        wrong = here.post(f"{me}/binding", token, {"code": "000000"})
        assert (wrong.told, wrong.body["attempts_left"]) == ((403, "code-rejected"), left)
    locked = here.post(f"{me}/binding", token, {"code": here.code(member)})
    assert locked.told == (429, "locked")
    assert 0 < int(locked.headers["Retry-After"]) <= 900
    assert here.get(f"/v1/logins/{opened['login_id']}", token).body["state"] == "locked"
    assert here.post(f"{me}/enrolment", token, {"email_code": "123456"}).told == (403, "forbidden")
    here.clock.wait(minutes=15)
    renewed = here.login(member)["login_token"]
    assert here.post(f"{me}/binding", renewed, {"code": "12345"}).told == (422, "malformed")


def test_a_bound_member_is_told_so_before_its_budget_of_mails_is_looked_at(
    here: Installation,
) -> None:
    member = here.bound(here.workspace())
    asked = here.post(
        f"/v1/members/{member.id}/mfa/email-codes", member.granted, {"purpose": "bind"}
    )
    assert asked.told == (409, "already-bound")


def test_the_second_mail_within_a_minute_is_one_too_many(here: Installation) -> None:
    member = here.member(here.workspace())
    granted, path = here.pass_of(member), f"/v1/members/{member.id}/mfa/email-codes"
    first = here.post(path, granted, {"purpose": "bind"})
    assert first.status == 202
    assert first.body["sent_to"] == "m***@example.org"
    second = here.post(path, granted, {"purpose": "bind"})
    assert second.told == (429, "too-many-requests")
    assert 0 < int(second.headers["Retry-After"]) <= 60


def test_an_unknown_address_and_a_wrong_method_are_problems_too(here: Installation) -> None:
    assert here.get("/v1/nothing").told == (404, "not-found")
    assert here.get("/v1//logins").told == (404, "not-found")
    refused = here.call("PATCH", "/v1/logins", "host")
    assert refused.told == (405, "method-not-allowed")
    assert refused.headers["Allow"] == "POST"
    assert here.call("OPTIONS", "/v1/logins").status == 405


def test_a_problem_names_its_request_and_is_never_stored(here: Installation) -> None:
    refused = here.get("/v1/agents", headers={"X-Request-Id": "my-request-1"})
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.body["request_id"] == refused.headers["X-Request-Id"] == "my-request-1"
    assert refused.headers["Cache-Control"] == "no-store"
    assert set(refused.body) == {
        "type",
        "title",
        "status",
        "detail",
        "request_id",
        "attempts_left",
        "locked_until",
    }


def test_the_position_stands_on_every_answer_of_a_command(here: Installation) -> None:
    workspace = here.workspace()
    person = Person("m-" + workspace, workspace, f"{workspace}@example.org")
    body = {"email": person.email, "name": "N", "role": "member"}
    put = here.put(f"/v1/workspaces/{workspace}/members/{person.id}", "host", body)
    position = int(put.headers["Twinlock-Position"])
    assert position == here.twinlock.store.head()
    refused = here.put(f"/v1/workspaces/{workspace}/members/{person.id}", "host", {})
    assert int(refused.headers["Twinlock-Position"]) >= position
