"""Tickets over HTTP: what is told before the code, the mailed link's token, agents who are gone."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from commands.approve_ticket import ApproveTicket
from commands.dispatch import run
from commands.erase_member import EraseMember
from commands.live_login import live_login
from commands.ports import Desk, Store
from commands.remove_member import RemoveMember
from commands.send_ticket_code import SendTicketCode
from commands.submit_ticket import SubmitTicket
from commands.ticket_text import TicketText
from domain import membership
from domain.facts import Actor
from domain.member_mfa import MemberMFA
from domain.onetime import TICKET, cancel_token
from domain.refusals import IllegalTransition, Unauthenticated
from domain.unbind_ticket import UnbindTicket
from tests.http.installation import Installation, Person, ticket_body

REASON = {"reason": "Called back."}


def link_token(here: Installation, ticket_id: str) -> str:
    """The token in the link that the mailer sends."""
    return cancel_token(here.twinlock.keys.derived("cancel-tokens"), ticket_id=ticket_id)


def test_a_known_requester_hears_of_the_open_ticket_before_the_code_is_looked_at(
    here: Installation,
) -> None:
    member = here.bound(here.workspace())
    token = here.login(member)["login_token"]
    here.ticket(member, token)
    again = here.post("/v1/tickets", token, ticket_body("no-such-challenge"))
    assert again.told == (409, "ticket-open")


def test_a_login_that_was_revoked_meanwhile_files_nothing(here: Installation) -> None:
    member, desk = here.bound(here.workspace()), here.twinlock.desk
    token = here.login(member)["login_token"]
    challenge = here.post("/v1/tickets/email-codes", token, {}).body["challenge_id"]
    credential = desk.credentials.find("login", token)
    assert credential is not None
    context = here.twinlock.context(Actor("member", member.id), "test")
    login = live_login(desk, context, credential)
    let_in = replace(context, revocations=login.member.revocations)
    here.post(f"/v1/members/{member.id}/sessions/revocation", "host")
    submit = SubmitTicket(
        text=TicketText("Lost phone", "It fell."),
        challenge_id=challenge,
        email_code=here.mailed(member, TICKET, challenge),
        login=login,
    )
    for command in (submit, SendTicketCode(member_id=member.id)):
        with pytest.raises(Unauthenticated):
            run(command, let_in, desk)


def test_the_mailed_token_cancels_once_and_reads_nothing(here: Installation) -> None:
    ticket_id = here.ticket(here.bound(here.workspace()))["ticket_id"]
    link = link_token(here, ticket_id)
    assert here.get(f"/v1/tickets/{ticket_id}", link).told == (403, "forbidden")
    path = f"/v1/tickets/{ticket_id}/cancellation"
    assert here.post(path, link).body["status"] == "cancelled"
    assert here.post(path, link).told == (409, "illegal-transition")
    other = here.ticket(here.bound(here.workspace()))["ticket_id"]
    assert here.post(f"/v1/tickets/{other}/cancellation", link).told == (404, "not-found")


def test_an_erased_agent_is_an_agent_no_longer(here: Installation) -> None:
    agent = here.member(here.workspace())
    token = here.token("support", member=agent.id)
    assert agent.id in here.get("/v1/agents", token).body["items"]
    command = EraseMember(member_id=agent.id)
    run(command, here.twinlock.context(Actor("operator"), "test"), here.twinlock.desk)
    assert here.get("/v1/agents", token).told == (401, "unauthenticated")
    assert agent.id not in here.get("/v1/agents", "support").body["items"]


def test_a_token_that_was_made_while_its_agent_was_erased_opens_nothing(
    here: Installation,
) -> None:
    agent = here.member(here.workspace())
    token = here.token("support", member=agent.id)
    member = here.twinlock.store.load(MemberMFA, agent.id)
    context = here.twinlock.context(Actor("operator"), "test")
    here.twinlock.store.append(context, (member, membership.erase(member)))
    assert here.get("/v1/agents", token).told == (401, "unauthenticated")


def test_a_description_may_be_pasted_with_tabs_and_any_line_ends(here: Installation) -> None:
    member = here.bound(here.workspace())
    sent = here.post("/v1/tickets/email-codes", None, {"email": member.email})
    code = here.mailed(member, "anonymous_ticket", sent.body["challenge_id"])
    body = {**ticket_body(sent.body["challenge_id"], code), "description": "one\r\n\ttwo\rthree"}
    filed = here.post("/v1/tickets", None, {"email": member.email, **body})
    shown = here.get(f"/v1/tickets/{filed.body['ticket_id']}", "support")
    assert shown.body["description"] == "one\n\ttwo\nthree"


def test_a_schema_is_found_by_every_name_of_its_type(here: Installation) -> None:
    names = ("twinlock.mfa.bound.v1", "mfa.bound.v1", "mfa.bound")
    schemas = [here.get(f"/v1/schemas/{name}").body for name in names]
    assert schemas[0]["properties"]["binding_id"]
    assert schemas[0] == schemas[1] == schemas[2]
    assert here.get("/v1/schemas/mfa.nothing").status == 404


def test_a_ticket_goes_to_no_agent_who_could_not_see_it(here: Installation) -> None:
    member, other = here.bound(here.workspace()), here.workspace()
    login = here.login(member)
    path = f"/v1/tickets/{here.ticket(member, login['login_token'])['ticket_id']}"
    far, near = f"far-{member.id}", f"near-{member.id}"
    confined = here.token("support", other, far)
    here.token("support", member.workspace_id, near)
    assert here.get(path, confined).told == (404, "not-found")
    assert here.post(f"{path}/claim", "support").status == 200
    assert here.post(f"{path}/forward", "support", {"to": far}).told == (422, "malformed")
    assert here.post(f"{path}/forward", "support", {"to": near}).body["assignee"] == near
    listed = here.get("/v1/agents?limit=500", confined).body["items"]
    assert (far in listed, near in listed) == (True, False)


@pytest.mark.parametrize("approvals", [1, 2])
def test_the_operator_may_ask_for_two_approvals(here: Installation, approvals: int) -> None:
    with here.another_process(ticket_approvals=approvals) as process:
        member = process.bound(process.workspace())
        filed = process.ticket(member, process.login(member)["login_token"])
        path = f"/v1/tickets/{filed['ticket_id']}"
        process.post(f"{path}/claim", "support")
        told = process.post(f"{path}/approve", "support", {"reason": "Called back."}).body
        assert told["approvals_needed"] == approvals
        assert told["status"] == ("approved" if approvals == 1 else "in_review")
        assert process.twinlock.store.load(MemberMFA, member.id).bound is (approvals == 2)


class Overtaken:
    """A store before whose next load of a `kind` somebody else is faster."""

    def __init__(self, store: Store, kind: type, act: Callable[[], object]) -> None:
        self.store, self.kind, self.acts = store, kind, [act]

    def load(self, kind: type, subject: str) -> Any:
        if kind is self.kind and self.acts:
            self.acts.pop()()
        return self.store.load(kind, subject)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


def overtaken(here: Installation, kind: type, act: Callable[[], object]) -> Desk:
    desk = here.twinlock.desk
    return replace(desk, store=cast(Store, Overtaken(desk.store, kind, act)))


def half_approved(here: Installation, member: Person) -> str:
    """The id of a ticket of the member's that waits for its second approval."""
    ticket_id: str = here.ticket(member)["ticket_id"]
    here.post(f"/v1/tickets/{ticket_id}/claim", "support")
    approved = here.post(f"/v1/tickets/{ticket_id}/approve", "support", REASON)
    assert approved.body["status"] == "in_review"
    return ticket_id


def test_an_approvals_reason_is_no_reason_of_a_cancellation(here: Installation) -> None:
    member = here.bound(here.workspace())
    path = f"/v1/tickets/{half_approved(here, member)}"
    told = here.post(f"{path}/cancellation", member.granted).body
    assert (told["status"], told["reason"]) == ("cancelled", None)
    assert here.get(path, member.granted).body == told
    assert here.get(path, "support").body["reason"] == REASON["reason"]


def test_who_approves_while_another_does_hears_that_the_ticket_is_closed(
    here: Installation,
) -> None:
    ticket_id = half_approved(here, here.bound(here.workspace()))
    path, second = f"/v1/tickets/{ticket_id}", here.token("support", member=f"second-{ticket_id}")
    desk = overtaken(here, MemberMFA, lambda: here.post(f"{path}/approve", second, REASON))
    late = ApproveTicket(ticket_id=ticket_id, agent_id=f"third-{ticket_id}", reason="Me too.")
    with pytest.raises(IllegalTransition):
        run(late, here.twinlock.context(Actor("support"), "test"), desk)


def test_over_http_too_where_no_stream_is_read_twice(
    here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = here.bound(here.workspace())
    path = f"/v1/tickets/{half_approved(here, member)}"
    second, third = (here.token("support", member=f"{n}-{member.id}") for n in range(2))
    load, faster = here.twinlock.store.load, [lambda: here.post(f"{path}/approve", second, REASON)]

    def overtaken_load(kind: Any, stream_id: str) -> Any:
        if (kind, stream_id) == (MemberMFA, member.id) and faster:
            assert faster.pop()().body["status"] == "approved"
        return load(kind, stream_id)

    monkeypatch.setattr(here.twinlock.store, "load", overtaken_load)
    assert here.post(f"{path}/approve", third, REASON).told == (409, "illegal-transition")
    assert not faster


def test_a_ticket_is_no_older_than_the_position_that_was_waited_for(
    here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/v1/tickets/{here.ticket(here.bound(here.workspace()))['ticket_id']}"
    head, meanwhile = here.twinlock.store.head, [lambda: here.post(f"{path}/claim", "support")]
    ahead = head() + 1

    def overtaken_head() -> int:
        if meanwhile:
            assert meanwhile.pop()().status == 200
        return head()

    monkeypatch.setattr(here.twinlock.store, "head", overtaken_head)
    assert here.get(f"{path}?at_least={ahead}", "support").body["status"] == "in_review"


def test_a_member_leaves_while_the_ticket_is_closed(here: Installation) -> None:
    member = here.bound(here.workspace())
    filed = here.ticket(member)
    path = f"/v1/tickets/{filed['ticket_id']}/cancellation"
    desk = overtaken(here, UnbindTicket, lambda: here.post(path, filed["ticket_token"]))
    leave = RemoveMember(workspace_id=member.workspace_id, member_id=member.id)
    run(leave, here.twinlock.context(Actor("host"), "test"), desk)
    assert here.twinlock.store.load(MemberMFA, member.id).roles == {}


def test_what_ends_elsewhere_is_told_where_it_belongs(here: Installation) -> None:
    """A membership that ends, and with it a ticket of another workspace."""
    one, other = here.workspace(), here.workspace()
    member = here.bound(one)
    here.join(member, other)
    ticket = here.ticket(member, here.login(member)["login_token"])["ticket_id"]
    assert here.call("DELETE", f"/v1/workspaces/{other}/members/{member.id}", "host").status == 204
    erase = EraseMember(member_id=member.id)
    run(erase, here.twinlock.context(Actor("operator"), "test"), here.twinlock.desk)
    told = [
        (record.topic, json.loads(record.state)["workspace_id"])
        for record in here.twinlock.store.events(0, 10_000)
        if record.stream == f"ticket/{ticket}" or b'"subject":"workspace/' in record.state
    ]
    assert told[-4:] == [
        ("ticket.submitted.v1", one),
        ("workspace.member_removed.v1", other),
        ("ticket.cancelled.v1", one),
        ("workspace.member_removed.v1", one),
    ]
