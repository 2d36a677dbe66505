"""Two workspaces side by side: what belongs to the other is not there, on every route."""

import pytest

from tests.http.installation import Installation
from tests.http.routes import ROUTES, Route, Things

HOLDERS = ("host token", "owner token", "owner", "member", "login", "ticket", "support", "auditor")
NAMED = [route for route in ROUTES if route.named]


@pytest.fixture(scope="module")
def ours(here: Installation) -> Things:
    """The things of the first workspace."""
    member = here.bound(here.workspace())
    opened = here.login(member)
    return Things(member, opened["login_id"], here.ticket(member)["ticket_id"])


@pytest.fixture(scope="module")
def theirs(here: Installation) -> dict[str, str]:
    """Tokens of people of the second workspace."""
    workspace = here.workspace()
    owner, member = here.bound(workspace, "owner"), here.bound(workspace)
    return {
        "host token": here.token("host", workspace),
        "owner token": here.token("owner", workspace, owner.id),
        "owner": owner.granted,
        "member": member.granted,
        "login": here.login(member)["login_token"],
        "ticket": here.ticket(member)["ticket_token"],
        "support": here.token("support", workspace, "agent-of-theirs"),
        "auditor": here.token("auditor", workspace),
    }


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("route", NAMED, ids=lambda route: route.name)
def test_what_belongs_to_others_is_not_found(
    here: Installation, ours: Things, theirs: dict[str, str], route: Route, holder: str
) -> None:
    answer = here.call(route.method, ours.path(route), theirs[holder], route.body)
    assert answer.told == (404, "not-found")


@pytest.mark.parametrize("holder", ["host token", "owner token", "owner", "auditor"])
def test_lists_hold_ones_own_workspace_only(
    here: Installation, ours: Things, theirs: dict[str, str], holder: str
) -> None:
    foreign = here.get(f"/v1/audit?workspace_id={ours.member.workspace_id}", theirs[holder])
    assert foreign.told == ((403, "forbidden") if holder == "host token" else (404, "not-found"))
    mine = here.get(f"/v1/audit?limit=500&at_least={here.twinlock.store.head()}", theirs[holder])
    assert ours.member.id not in mine.text
    assert ours.member.workspace_id not in mine.text


@pytest.mark.parametrize("body", [{}, {"email": "a@b.org", "name": "A", "role": "member"}])
def test_a_host_of_one_workspace_puts_no_member_of_another_whatever_it_says(
    here: Installation, ours: Things, body: dict[str, str]
) -> None:
    workspace = here.workspace()
    path = f"/v1/workspaces/{workspace}/members/{ours.member.id}"
    assert here.put(path, here.token("host", workspace), body).told == (404, "not-found")


def test_a_host_of_one_workspace_opens_no_login_in_another(
    here: Installation, ours: Things, theirs: dict[str, str]
) -> None:
    body = {"workspace_id": ours.member.workspace_id, "member_id": ours.member.id}
    assert here.post("/v1/logins", theirs["host token"], body).told == (404, "not-found")
    asked = "workspace_id={workspace_id}&member_id={member_id}".format(**body)
    check = here.get(f"/v1/login-checks?{asked}", theirs["host token"])
    assert check.told == (404, "not-found")
    new = here.put("/v1/workspaces/another", theirs["host token"], {"name": "Another"})
    assert new.told == (404, "not-found")


def test_an_agent_of_one_workspace_sees_its_tickets_only(
    here: Installation, ours: Things, theirs: dict[str, str]
) -> None:
    head = here.twinlock.store.head()
    seen = here.get(f"/v1/tickets?limit=500&at_least={head}", theirs["support"])
    assert [item["member_id"] for item in seen.body["items"]] != []
    assert ours.ticket_id not in seen.text


def test_the_events_of_a_bound_auditor_are_of_its_workspace(
    here: Installation, ours: Things, theirs: dict[str, str]
) -> None:
    seen = here.get("/v1/events?limit=500", theirs["auditor"])
    assert seen.body["events"]
    assert ours.member.id not in seen.text


def test_a_pass_opens_no_other_workspace(here: Installation) -> None:
    lax, strict = here.workspace(), here.workspace()
    member = here.member(lax)
    here.join(member, strict)
    here.enforce(strict)
    granted = here.pass_of(member)
    assert here.get(f"/v1/access?workspace_id={lax}", granted).status == 200
    assert here.get(f"/v1/access?workspace_id={strict}", granted).told == (401, "unauthenticated")
    opened = here.post("/v1/logins", "host", {"workspace_id": strict, "member_id": member.id})
    assert opened.body["state"] == "enrolment_required"
