"""Guessers and hoarders against the life of a code: five tries, ten minutes, a step either side."""

from collections.abc import Callable

import pytest

from tests.http.installation import Installation, Reply, ticket_body, totp

DOORS = ("enrolment", "ticket with a login", "ticket of a stranger")
Try = Callable[[str], Reply]


def mailed(here: Installation, door: str) -> tuple[str, Try]:
    """A code that was mailed a moment ago, and what is said to a code at its door."""
    workspace = here.workspace()
    if door == "enrolment":
        person = here.member(workspace)
        granted, mfa = here.pass_of(person), f"/v1/members/{person.id}/mfa"
        assert here.post(f"{mfa}/email-codes", granted, {"purpose": "bind"}).status == 202
        return here.mailed(person, "bind"), lambda code: here.post(
            f"{mfa}/enrolment", granted, {"email_code": code}
        )
    person = here.bound(workspace)
    token = here.login(person)["login_token"] if door == "ticket with a login" else None
    who = {} if token else {"email": person.email}
    sent = here.post("/v1/tickets/email-codes", token, who).body["challenge_id"]
    code = here.mailed(person, "ticket" if token else "anonymous_ticket", sent)
    return code, lambda given: here.post("/v1/tickets", token, {**who, **ticket_body(sent, given)})


def other(code: str) -> str:
    """One of the same form that is not it."""
    return ("1" if code[0] == "0" else "0") + code[1:]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("wrong", "told"), [(4, (201, "")), (5, (403, "code-rejected"))])
def test_a_mailed_code_is_looked_at_five_times(
    here: Installation, door: str, wrong: int, told: tuple[int, str]
) -> None:
    code, give = mailed(here, door)
    for _ in range(wrong):
        assert give(other(code)).told == (403, "code-rejected")
    assert give(code).told == told


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("late", "told"),
    [
        ({"minutes": 9, "seconds": 50}, (201, "")),
        ({"minutes": 10, "seconds": 1}, (403, "code-rejected")),
    ],
)
def test_a_mailed_code_holds_for_ten_minutes(
    here: Installation, door: str, late: dict[str, float], told: tuple[int, str]
) -> None:
    code, give = mailed(here, door)
    here.clock.wait(**late)
    assert give(code).told == told


def test_a_code_is_refused_two_steps_later(here: Installation) -> None:
    person = here.bound(here.workspace())
    here.clock.wait(seconds=60 - here.clock().timestamp() % 30)
    codes = [totp(person.secret, here.clock())]
    here.clock.wait(seconds=30)
    codes.append(totp(person.secret, here.clock()))
    here.clock.wait(seconds=30)
    opened = here.login(person)
    path, token = f"/v1/logins/{opened['login_id']}/code", opened["login_token"]
    told = [here.post(path, token, {"code": code}).told for code in codes]
    assert told == [(403, "code-rejected"), (200, "")]
