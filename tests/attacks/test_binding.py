"""Thieves of passwords and sessions against binding and unbinding."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from commands.bind_mfa import BindMFA
from commands.dispatch import run
from commands.revoke_sessions import RevokeSessions
from commands.secrets import Proof
from commands.set_policy import SetPolicy
from domain.facts import Actor
from domain.member_mfa import MemberMFA
from domain.refusals import Forbidden, Unauthenticated
from tests.attacks.test_codes import together
from tests.http.installation import Installation, Person, totp


def mfa(person: Person, call: str) -> str:
    """The path of a call about the member's second factor."""
    return f"/v1/members/{person.id}/mfa/{call}"


def test_a_session_alone_binds_nothing(here: Installation) -> None:
    person = here.member(here.workspace())
    granted = here.pass_of(person)
    assert here.post(mfa(person, "binding"), granted, {"code": "123456"}).told == (
        409,
        "illegal-transition",
    )
    body = {"email_code": "123456"}
    assert here.post(mfa(person, "enrolment"), granted, body).told == (403, "code-rejected")


def test_the_secret_of_a_replaced_enrolment_binds_nothing(here: Installation) -> None:
    person = here.member(here.workspace())
    granted = here.pass_of(person)
    thief = here.enrol(person, granted)["secret"]
    here.clock.wait(seconds=61)
    here.enrol(person, granted)
    refused = here.post(mfa(person, "binding"), granted, {"code": totp(thief, here.clock())})
    assert refused.told == (403, "code-rejected")
    assert here.get(f"/v1/members/{person.id}/mfa", granted).body["status"] == "enrolling"


@pytest.mark.parametrize("holder", ["pass", "login"])
def test_a_bound_member_is_bound_by_nobody_else(here: Installation, holder: str) -> None:
    person = here.bound(here.workspace())
    token = person.granted if holder == "pass" else here.login(person)["login_token"]
    told = {"pass": (409, "already-bound"), "login": (403, "forbidden")}[holder]
    for call, body in (
        ("email-codes", {"purpose": "bind"}),
        ("enrolment", {"email_code": "123456"}),
        ("binding", {"code": "123456"}),
    ):
        assert here.post(mfa(person, call), token, body).told == told
    opened, code = here.login(person), here.code(person)
    path = f"/v1/logins/{opened['login_id']}/code"
    assert here.post(path, opened["login_token"], {"code": code}).status == 200


def test_the_body_that_bound_binds_no_second_time(here: Installation) -> None:
    person = here.member(here.workspace())
    granted = here.pass_of(person)
    here.enrol(person, granted)
    body = {"code": here.code(person)}
    bound = here.post(mfa(person, "binding"), granted, body)
    assert bound.status == 201
    assert here.post(mfa(person, "binding"), granted, body).told == (401, "unauthenticated")
    again = here.post(mfa(person, "binding"), bound.body["pass"], body)
    assert again.told == (409, "already-bound")


def test_an_unconfirmed_secret_never_counts(here: Installation) -> None:
    person = here.member(here.workspace())
    granted = here.pass_of(person)
    here.enrol(person, granted)
    code = here.code(person)
    assert here.login(person)["state"] == "granted"
    assert here.post(mfa(person, "unbinding"), granted, {"code": code}).told == (409, "not-bound")


def test_of_two_mailed_codes_at_once_one_opens_a_set_up(here: Installation) -> None:
    person = here.member(here.workspace())
    granted = here.pass_of(person)
    here.post(mfa(person, "email-codes"), granted, {"purpose": "bind"})
    body = {"email_code": here.mailed(person, "bind")}
    call = lambda: here.post(mfa(person, "enrolment"), granted, body)  # noqa: E731 - the same twice
    assert Counter(reply.status for reply in together([call] * 8)) == {201: 1, 403: 7}


def test_a_mailed_code_is_of_its_purpose_member_and_challenge(here: Installation) -> None:
    workspace = here.workspace()
    mine, theirs, bound = here.member(workspace), here.member(workspace), here.bound(workspace)
    for person in (mine, theirs):
        here.post(mfa(person, "email-codes"), here.pass_of(person), {"purpose": "bind"})
    body = {"email_code": here.mailed(theirs, "bind")}
    assert here.post(mfa(mine, "enrolment"), here.pass_of(mine), body).told[0] == 403
    token = here.login(bound)["login_token"]
    asked = here.post("/v1/tickets/email-codes", token, {})
    anonymous = here.post("/v1/tickets/email-codes", None, {"email": bound.email})
    codes = {
        "ticket": here.mailed(bound, "ticket", asked.body["challenge_id"]),
        "anonymous_ticket": here.mailed(bound, "anonymous_ticket", anonymous.body["challenge_id"]),
    }
    ticket = {"type": "unbind_mfa", "title": "T", "description": "D"}
    for sent, code in ((asked, codes["anonymous_ticket"]), (anonymous, codes["ticket"])):
        filed = {**ticket, "challenge_id": sent.body["challenge_id"], "email_code": code}
        with_token = here.post("/v1/tickets", token, filed)
        without = here.post("/v1/tickets", None, {**filed, "email": bound.email})
        assert {with_token.told, without.told} == {(403, "code-rejected")}


class Meanwhile:
    """A store that lets something happen between the guard and the command's own load."""

    def __init__(self, store: Any, what: Any) -> None:
        self._store, self._what, self._done = store, what, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def load(self, kind: type[Any], stream_id: str) -> Any:
        """Load, after it has happened."""
        if not self._done:
            self._done = True
            self._what()
        return self._store.load(kind, stream_id)


def test_who_is_signed_out_between_guard_and_command_does_nothing_more(
    here: Installation,
) -> None:
    person = here.member(here.workspace())
    granted = here.pass_of(person)
    here.enrol(person, granted)
    twinlock, desk = here.twinlock, here.backend.desk
    host = twinlock.context(Actor("host"), "test")
    store = Meanwhile(desk.store, lambda: run(RevokeSessions(member_id=person.id), host, desk))
    before = desk.store.load(MemberMFA, person.id)
    context = replace(host, at=here.clock(), revocations=before.revocations)
    command = BindMFA(member_id=person.id, workspace_id=person.workspace_id, code=here.code(person))
    with pytest.raises(Unauthenticated):
        run(command, context, replace(desk, store=store))
    assert not desk.store.load(MemberMFA, person.id).bound


def test_who_is_no_owner_any_more_sets_no_policy(here: Installation) -> None:
    owner = here.bound(here.workspace(), "owner")
    here.join(owner, owner.workspace_id, "member")
    command = SetPolicy(workspace_id=owner.workspace_id, mode="off", owner_id=owner.id)
    context = here.twinlock.context(Actor("member", owner.id), "test")

    with pytest.raises(Forbidden):
        run(replace(command, proof=Proof(code=here.code(owner))), context, here.backend.desk)


def test_sessions_from_before_an_unbinding_by_ticket_end(here: Installation) -> None:
    person = here.bound(here.workspace())
    filed = here.ticket(person, here.login(person)["login_token"])
    path = f"/v1/tickets/{filed['ticket_id']}"
    assert here.post(f"{path}/claim", "support").status == 200
    assert here.post(f"{path}/approve", "support", {"reason": "Seen."}).status == 200
    access = f"/v1/access?workspace_id={person.workspace_id}"
    assert here.get(access, person.granted).told == (401, "unauthenticated")
