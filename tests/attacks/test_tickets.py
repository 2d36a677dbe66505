"""The way around the device: mailbox thieves, talkers, and agents who go too far."""

import pytest

from domain.member_mfa import MemberMFA
from domain.onetime import ANONYMOUS
from tests.http.installation import Installation, ticket_body

CODES = "/v1/tickets/email-codes"


def test_an_approval_needs_a_reason(here: Installation) -> None:
    person = here.bound(here.workspace())
    path = f"/v1/tickets/{here.ticket(person, here.login(person)['login_token'])['ticket_id']}"
    assert here.post(f"{path}/claim", "support").status == 200
    for body in ({}, {"reason": ""}, {"reason": "  "}, {"reason": None}):
        assert here.post(f"{path}/approve", "support", body).told == (422, "malformed")
    assert here.get(path, "support").body["approvals"] == 0


@pytest.mark.parametrize("who", ["fresh password", "owner", "mailbox alone", "agent"])
def test_one_agent_is_not_enough(here: Installation, who: str) -> None:
    person = here.bound(here.workspace(), "owner" if who == "owner" else "member")
    more = {"first_factor_changed_at": here.clock().isoformat()} if who == "fresh password" else {}
    token = None if who == "mailbox alone" else here.login(person, **more)["login_token"]
    if who == "agent":
        here.token("support", member=person.id)
    path = f"/v1/tickets/{here.ticket(person, token)['ticket_id']}"
    here.post(f"{path}/claim", "support")
    first = here.post(f"{path}/approve", "support", {"reason": "Called back."})
    assert (first.body["status"], first.body["approvals_needed"]) == ("in_review", 2)
    again = here.post(f"{path}/approve", "support", {"reason": "Again."})
    assert again.told == (403, "forbidden")
    assert here.twinlock.store.load(MemberMFA, person.id).bound
    second = here.post(f"{path}/approve", "other_support", {"reason": "Seen."})
    assert second.body["status"] == "approved"


def test_a_mailbox_is_not_flooded(here: Installation) -> None:
    person = here.bound(here.workspace())
    answers = []
    for _ in range(20):
        answers.append(here.post(CODES, None, {"email": person.email}))
        here.clock.wait(minutes=2)
    assert {(a.status, *sorted(a.body)) for a in answers} == {(202, "challenge_id", "expires_at")}
    assert here.codes_sent(person, ANONYMOUS) == 5  # in any hour, and the twenty took 40 minutes


def test_the_position_tells_strangers_nothing(here: Installation) -> None:
    person = here.bound(here.workspace())
    steps = {True: set[int](), False: set[int]()}
    for number in range(4):
        here.clock.wait(minutes=61)
        for known, email in ((True, person.email), (False, f"nobody-{number}@example.org")):
            before = here.twinlock.store.head()
            sent = here.post(CODES, None, {"email": email})
            asked = int(sent.headers["Twinlock-Position"]) - before
            body = {"email": email, **ticket_body(sent.body["challenge_id"])}
            refused = here.post("/v1/tickets", None, body)
            steps[known] |= {asked, int(refused.headers["Twinlock-Position"]) - before - asked}
            assert refused.told == (403, "code-rejected")
    assert steps[True] == steps[False] == {1}


def test_a_ticket_proof_is_of_its_member(here: Installation) -> None:
    workspace = here.workspace()
    mine, theirs = here.bound(workspace), here.bound(workspace)
    sent = here.post(CODES, None, {"email": mine.email})
    code = here.mailed(mine, "anonymous_ticket", sent.body["challenge_id"])
    body = ticket_body(sent.body["challenge_id"], code)
    stolen = here.post("/v1/tickets", None, {**body, "email": theirs.email})
    assert stolen.told == (403, "code-rejected")
    assert here.post("/v1/tickets", None, {**body, "email": mine.email}).status == 201
    assert here.post("/v1/tickets", None, {**body, "email": mine.email}).told[0] in (403, 409)


def test_the_ticket_token_reads_and_cancels_its_ticket_alone(here: Installation) -> None:
    workspace = here.workspace()
    mine, theirs = here.ticket(here.bound(workspace)), here.ticket(here.bound(workspace))
    other = f"/v1/tickets/{theirs['ticket_id']}"
    assert here.get(other, mine["ticket_token"]).told == (404, "not-found")
    assert here.post(f"{other}/cancellation", mine["ticket_token"]).told == (404, "not-found")
    assert here.post(f"/v1/tickets/{mine['ticket_id']}/claim", mine["ticket_token"]).status == 403
    assert here.get("/v1/tickets", mine["ticket_token"]).told == (403, "forbidden")


def test_a_host_of_one_workspace_takes_over_no_member_of_another(here: Installation) -> None:
    mine, other = here.workspace(), here.workspace()
    victim, shared = here.bound(other), here.bound(other)
    here.join(shared, mine)
    host = here.token("host", mine)
    thief = {"email": "thief@example.org", "name": "Thief", "role": "member"}
    path = f"/v1/workspaces/{mine}/members"
    assert here.put(f"{path}/{victim.id}", host, thief).told == (404, "not-found")
    assert here.put(f"{path}/{shared.id}", host, thief).told == (403, "forbidden")
    same = {"email": shared.email, "name": "Somebody", "role": "owner"}
    assert here.put(f"{path}/{shared.id}", host, same).status == 200
    own = here.put(f"{path}/m-new-{mine}", host, {**thief, "email": f"{mine}@example.org"})
    assert own.status == 201
    moved = here.put(f"{path}/m-new-{mine}", host, {**thief, "email": f"x-{mine}@example.org"})
    assert moved.status == 200
    assert here.put(f"{path}/{victim.id}", "host", {**same, "email": victim.email}).status == 201


def test_a_host_takes_over_nobody_who_has_left_another_workspace(here: Installation) -> None:
    mine, other = here.workspace(), here.workspace()
    left = here.bound(other)
    assert here.call("DELETE", f"/v1/workspaces/{other}/members/{left.id}", "host").status == 204
    thief = {"email": f"thief-{mine}@example.org", "name": "Thief", "role": "member"}
    stolen = here.put(f"/v1/workspaces/{mine}/members/{left.id}", here.token("host", mine), thief)
    assert stolen.told == (404, "not-found")
    back = {"email": left.email, "name": "Somebody", "role": "member"}
    own = here.token("host", other)
    assert here.put(f"/v1/workspaces/{other}/members/{left.id}", own, back).status == 201
    assert here.twinlock.store.load(MemberMFA, left.id).bound


def test_who_becomes_an_owner_after_filing_needs_two_approvals(here: Installation) -> None:
    member = here.bound(here.workspace())
    login = here.login(member)
    ticket_id = here.ticket(member, login["login_token"])["ticket_id"]
    path = f"/v1/tickets/{ticket_id}"
    assert here.get(path, "support").body["approvals_needed"] == 1
    assert here.post(f"{path}/claim", "support").status == 200
    here.join(member, member.workspace_id, "owner")
    assert here.get(path, "support").body["approvals_needed"] == 2
    first = here.post(f"{path}/approve", "support", {"reason": "ok"}).body
    assert (first["status"], first["approvals"], first["approvals_needed"]) == ("in_review", 1, 2)
    second = here.post(f"{path}/approve", "other_support", {"reason": "ok"}).body
    assert (second["status"], second["approvals"], second["approvals_needed"]) == ("approved", 2, 2)
