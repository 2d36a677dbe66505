"""The flows of the product, over HTTP."""

import pytest

from tests.http.installation import Installation


def test_a_member_binds_of_its_own_will_and_is_asked_for_a_code_from_then_on(
    here: Installation,
) -> None:
    member = here.bound(here.workspace())

    opened = here.login(member)
    assert opened["state"] == "code_required"
    assert opened["pass"] is None

    granted = here.post(
        f"/v1/logins/{opened['login_id']}/code", opened["login_token"], {"code": here.code(member)}
    )
    assert (granted.status, granted.body["state"]) == (200, "granted")
    assert granted.body["expires_in"] == 12 * 3600


def test_an_enforced_policy_makes_members_bind_within_the_login(here: Installation) -> None:
    workspace = here.workspace()
    member = here.member(workspace)
    here.enforce(workspace)

    opened = here.login(member)
    assert opened["state"] == "enrolment_required"
    here.bind(member, opened["login_token"])

    state = here.get(f"/v1/logins/{opened['login_id']}", opened["login_token"])
    assert state.body["state"] == "granted"
    access = here.get(f"/v1/access?workspace_id={workspace}", member.granted)
    assert (access.status, access.text) == (200, "")
    assert access.headers["Remote-User"] == member.id
    assert access.headers["Remote-Amr"] == "pwd,otp,mfa"


def test_a_code_is_accepted_once_and_a_used_one_does_not_count(here: Installation) -> None:
    member = here.bound(here.workspace())
    first, second = here.login(member), here.login(member)
    code = here.code(member)
    path = "/v1/logins/{login_id}/code"
    assert here.post(path.format(**first), first["login_token"], {"code": code}).status == 200
    again = here.post(path.format(**second), second["login_token"], {"code": code})
    assert (again.status, again.body["attempts_left"]) == (403, 5)
    assert again.slug == "code-rejected"
    assert int(again.headers["Twinlock-Position"]) > 0


def test_the_fifth_wrong_code_locks_and_a_recovery_code_opens(here: Installation) -> None:
    member = here.bound(here.workspace())
    opened = here.login(member)
    path, token = f"/v1/logins/{opened['login_id']}/code", opened["login_token"]
    here.clock.wait(seconds=30)
    for left in (4, 3, 2, 1, 0):
        wrong = here.post(path, token, {"code": "000000"})
        assert (wrong.status, wrong.body["attempts_left"]) == (403, left)
    locked = here.post(path, token, {"code": here.code(member)})
    assert locked.status == 429
    assert locked.slug == "locked"
    assert int(locked.headers["Retry-After"]) > 800
    assert locked.body["locked_until"].endswith("Z")
    assert here.get(f"/v1/logins/{opened['login_id']}", token).body["state"] == "locked"
    opened_again = here.post(path, token, {"recovery_code": member.recovery_codes[0]})
    assert opened_again.status == 200


def test_unbinding_ends_the_old_pass_and_answers_one_where_no_factor_is_due(
    here: Installation,
) -> None:
    member = here.bound(here.workspace())
    done = here.post(
        f"/v1/members/{member.id}/mfa/unbinding", member.granted, {"code": here.code(member)}
    )
    assert (done.status, done.body["status"]) == (200, "not_bound")
    me = f"/v1/members/{member.id}/mfa"
    assert here.get(me, member.granted).status == 401
    assert here.get(me, done.body["pass"]).body["status"] == "not_bound"


def test_a_ticket_with_the_first_factor_takes_one_approval(here: Installation) -> None:
    member = here.bound(here.workspace())
    opened = here.login(member)
    filed = here.ticket(member, opened["login_token"])
    path = f"/v1/tickets/{filed['ticket_id']}"

    seen = here.get(path, filed["ticket_token"]).body
    assert seen["status"] == "submitted"
    assert (seen["first_factor_proven"], seen["approvals_needed"]) == (True, 1)
    claimed = here.post(f"{path}/claim", "support")
    assert (claimed.body["status"], claimed.body["assignee"]) == ("in_review", "agent-a")
    assert here.get(path, filed["ticket_token"]).body["assignee"] is None
    approved = here.post(f"{path}/approve", "support", {"reason": "Called back."})
    assert (approved.status, approved.body["status"]) == (200, "approved")
    assert here.login(member)["state"] == "granted"


def test_a_ticket_from_the_mailbox_alone_takes_two_agents(here: Installation) -> None:
    member = here.bound(here.workspace())
    filed = here.ticket(member)
    path = f"/v1/tickets/{filed['ticket_id']}"
    here.post(f"{path}/claim", "support")
    first = here.post(f"{path}/approve", "support", {"reason": "Called back."})
    assert (first.body["status"], first.body["approvals"]) == ("in_review", 1)
    same = here.post(f"{path}/approve", "support", {"reason": "Called back."})
    assert same.status == 403
    second = here.post(f"{path}/approve", "other_support", {"reason": "Seen."})
    assert second.body["status"] == "approved"
    assert second.body["submitted_at"].endswith("Z")


@pytest.mark.parametrize("action", ["approve", "reject"])
def test_a_ticket_is_decided_only_after_a_claim(here: Installation, action: str) -> None:
    filed = here.ticket(here.bound(here.workspace()))
    decided = here.post(f"/v1/tickets/{filed['ticket_id']}/{action}", "support", {"reason": "x"})
    assert decided.told == (409, "illegal-transition")
