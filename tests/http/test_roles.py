"""Owners by pass and by token, staff by role, and what a pass without a second factor opens."""

from datetime import timedelta

import pytest

from tests.http.installation import STAFF, Installation, Person


@pytest.fixture
def workspace(here: Installation) -> str:
    """A workspace of this test's own."""
    return here.workspace()


def policy(workspace: str) -> str:
    """Where the policy is."""
    return f"/v1/workspaces/{workspace}/mfa-policy"


def test_an_owner_sets_the_policy_with_a_fresh_code(here: Installation, workspace: str) -> None:
    owner = here.bound(workspace, "owner")
    assert here.put(policy(workspace), owner.granted, {"mode": "enforced"}).told == (
        422,
        "malformed",
    )
    code = here.code(owner)
    done = here.put(policy(workspace), owner.granted, {"mode": "enforced", "code": code})
    assert done.body["mode"] == "enforced"
    assert done.body["changed_by"] == {"kind": "member", "id": owner.id}
    again = here.put(policy(workspace), owner.granted, {"mode": "off", "code": code})
    assert again.told == (403, "code-rejected")
    seen = here.get(f"{policy(workspace)}?at_least={done.headers['Twinlock-Position']}", "host")
    assert seen.body == done.body


@pytest.mark.parametrize("mode", ["off", "enforced"])
def test_an_owner_who_is_not_bound_sets_no_policy(
    here: Installation, workspace: str, mode: str
) -> None:
    owner = here.member(workspace, "owner")
    granted = here.pass_of(owner)
    body = {"mode": mode, "code": "123456"}
    assert here.put(policy(workspace), granted, body).told == (409, "not-bound")
    here.enforce(workspace)
    assert here.put(policy(workspace), granted, body).told == (409, "not-bound")
    assert here.put(policy(workspace), granted, {"mode": mode}).told == (422, "malformed")


def test_the_host_sends_no_code(here: Installation, workspace: str) -> None:
    body = {"mode": "enforced", "code": "123456"}
    assert here.put(policy(workspace), "host", body).told == (422, "malformed")
    assert here.get(policy(workspace), "host").body["mode"] == "off"


def test_an_owner_token_spends_the_code_of_its_member(here: Installation, workspace: str) -> None:
    owner = here.bound(workspace, "owner")
    token = here.token("owner", workspace, owner.id)
    done = here.put(policy(workspace), token, {"mode": "enforced", "code": here.code(owner)})
    assert done.body["changed_by"] == {"kind": "member", "id": owner.id}
    here.join(owner, workspace, "member")
    assert here.get(policy(workspace), token).told == (403, "forbidden")


def test_a_role_is_looked_up_on_the_stream_and_not_in_the_pass(
    here: Installation, workspace: str
) -> None:
    member = here.bound(workspace)
    assert here.get(policy(workspace), member.granted).told == (403, "forbidden")
    here.join(member, workspace, "owner")
    assert here.get(policy(workspace), member.granted).status == 200


def test_an_owner_reads_members_of_its_workspace_only(here: Installation, workspace: str) -> None:
    owner, colleague = here.bound(workspace, "owner"), here.member(workspace)
    stranger = here.member(here.workspace())
    me = "/v1/members/{}/mfa"
    assert here.get(me.format(colleague.id), owner.granted).body["status"] == "not_bound"
    assert here.get(me.format(stranger.id), owner.granted).told == (404, "not-found")
    granted = here.pass_of(colleague)
    assert here.get(me.format(owner.id), granted).told == (404, "not-found")


def test_a_pass_drops_to_binding_when_the_policy_asks_for_more(
    here: Installation, workspace: str
) -> None:
    owner = here.member(workspace, "owner")
    granted = here.pass_of(owner)
    access = f"/v1/access?workspace_id={workspace}"
    assert here.get(access, granted).status == 200
    assert here.get(policy(workspace), granted).status == 200
    here.enforce(workspace)
    assert here.get(access, granted).told == (401, "unauthenticated")
    for path in (policy(workspace), f"/v1/workspaces/{workspace}/coverage", "/v1/audit"):
        assert here.get(path, granted).told == (403, "forbidden")
    assert here.get(f"/v1/members/{owner.id}/mfa", granted).status == 200
    assert here.get(access, here.bind(owner, granted)).status == 200


def test_grace_lets_in_until_it_ends(here: Installation, workspace: str) -> None:
    member = here.member(workspace)
    until = here.clock() + timedelta(hours=1)
    here.enforce(workspace, grace_until=until.isoformat())
    here.clock.wait(minutes=59)
    opened = here.login(member)
    assert opened["state"] == "granted"
    assert opened["enrolment_due_at"] == until.isoformat().replace("+00:00", "Z")
    access = f"/v1/access?workspace_id={workspace}"
    assert here.get(access, opened["pass"]).status == 200
    here.clock.wait(minutes=1)
    assert here.get(access, opened["pass"]).told == (401, "unauthenticated")
    assert here.login(member)["state"] == "enrolment_required"
    past = {"mode": "enforced", "grace_until": "2020-01-01T00:00:00Z"}
    assert here.put(policy(workspace), "host", past).told == (422, "malformed")


def staff(here: Installation, role: str) -> Person:
    """Somebody who works for the installation."""
    return here.bound(STAFF, role)


def test_staff_work_by_their_passes(here: Installation, workspace: str) -> None:
    agent, auditor, analyst = (staff(here, role) for role in ("support", "auditor", "analyst"))
    filed = here.ticket(here.bound(workspace))
    claimed = here.post(f"/v1/tickets/{filed['ticket_id']}/claim", agent.granted)
    assert claimed.body["assignee"] == agent.id
    head = here.twinlock.store.head()
    agents = here.get(f"/v1/agents?at_least={head}", agent.granted).body["items"]
    assert {agent.id, "agent-a", "agent-b"} <= set(agents)
    assert here.get("/v1/audit", auditor.granted).status == 200
    assert here.get("/v1/events", auditor.granted).status == 200
    assert here.get("/v1/audit", analyst.granted).told == (403, "forbidden")
    assert here.get("/v1/events", analyst.granted).status == 200
    mine = here.get(f"/v1/members/{agent.id}/mfa", agent.granted)
    assert mine.body["status"] == "bound"


def test_the_same_role_elsewhere_counts_for_nothing(here: Installation, workspace: str) -> None:
    pretender = here.bound(workspace, "support")
    assert here.get("/v1/tickets", pretender.granted).told == (403, "forbidden")
    auditor = here.bound(workspace, "auditor")
    assert here.get("/v1/audit", auditor.granted).told == (403, "forbidden")


def test_nobody_works_their_own_ticket(here: Installation) -> None:
    agent = staff(here, "support")
    filed = here.ticket(agent)
    path = f"/v1/tickets/{filed['ticket_id']}"
    assert here.post(f"{path}/claim", agent.granted).told == (403, "forbidden")
    assert here.post(f"{path}/claim", "support").body["approvals_needed"] == 2
    forwarded = here.post(f"{path}/forward", "support", {"to": agent.id})
    assert forwarded.told == (403, "forbidden")
    assert here.post(f"{path}/approve", agent.granted, {}).told == (403, "forbidden")
    for step in ("forward", "reject", "approve"):
        assert here.post(f"{path}/{step}", "other_support", {}).told == (403, "forbidden")


def test_the_second_approval_of_one_agent_is_forbidden_whatever_it_says(here: Installation) -> None:
    agent = staff(here, "support")
    path = f"/v1/tickets/{here.ticket(agent)['ticket_id']}"
    here.post(f"{path}/claim", "support")
    first = here.post(f"{path}/approve", "support", {"reason": "Yes."})
    assert (first.status, first.body["status"]) == (200, "in_review")
    assert here.post(f"{path}/approve", "support", {}).told == (403, "forbidden")
    assert here.post(f"{path}/approve", "other_support", {}).told == (422, "malformed")


def test_an_unknown_agent_is_malformed_before_the_state_is_looked_at(here: Installation) -> None:
    member = here.bound(here.workspace())
    path = f"/v1/tickets/{here.ticket(member)['ticket_id']}/forward"
    for to in ("nobody", member.id):
        assert here.post(path, "support", {"to": to}).told == (422, "malformed")
    assert here.post(path, "support", {"to": None}).told == (409, "illegal-transition")


def test_a_member_is_not_told_who_else_is_there(here: Installation, workspace: str) -> None:
    member, other = here.bound(workspace), here.member(workspace)
    path = f"/v1/workspaces/{workspace}/members"
    for asked in (other.id, "nobody"):
        assert here.call("DELETE", f"{path}/{asked}", member.granted).told == (404, "not-found")
    assert here.call("DELETE", f"{path}/{member.id}", member.granted).told == (403, "forbidden")


def test_a_revoked_or_foreign_pass_is_no_credential(here: Installation, workspace: str) -> None:
    member = here.bound(workspace)
    head, payload, signature = member.granted.split(".")
    forged = (f"{head}.{payload}.{signature[:-4]}AAAA", f"{head}.{payload}.", "e30.e30.e30")
    for token in forged:
        assert here.get(f"/v1/members/{member.id}/mfa", token).told == (401, "unauthenticated")
    removed = here.call("DELETE", f"/v1/workspaces/{workspace}/members/{member.id}", "host")
    assert (removed.status, removed.text) == (204, "")
    assert here.get(f"/v1/members/{member.id}/mfa", member.granted).status == 401
