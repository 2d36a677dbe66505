"""Guessers, observers and replayers against codes, over every door that takes one."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from domain.member_mfa import MemberMFA
from tests.attacks.depth import DEEP
from tests.http.installation import Installation, Person, Reply, installed, ticket_body, totp
from tests.support.built import a_master_key

WRONG_RECOVERY = "0000-0000-0000-0000"


def wrong(here: Installation, person: Person) -> str:
    """Six digits that are right at no step near now."""
    near = {totp(person.secret, here.clock())}
    for seconds in (-60, -30, 30, 60, 90):
        here.clock.wait(seconds=seconds)
        near.add(totp(person.secret, here.clock()))
        here.clock.wait(seconds=-seconds)
    return next(code for code in ("000000", "111111", "222222", "333333") if code not in near)


def enter(here: Installation, person: Person, code: str, **login: str) -> Reply:
    """A login of its own, and the code at it."""
    opened = here.login(person, **login)
    path = f"/v1/logins/{opened['login_id']}/code"
    return here.post(path, opened["login_token"], {"code": code})


def lock(here: Installation, person: Person) -> None:
    """Five wrong codes."""
    code = wrong(here, person)
    for _ in range(5):
        assert enter(here, person, code).told == (403, "code-rejected")


def failures(here: Installation, person: Person) -> int:
    """How many codes of the member were looked at and refused."""
    return here.twinlock.store.load(MemberMFA, person.id).failures


def together(calls: Sequence[Callable[[], Reply]]) -> list[Reply]:
    """All at once."""
    with ThreadPoolExecutor(16) as pool:
        return [done.result() for done in [pool.submit(call) for call in calls]]


def test_sixty_tries_over_twenty_logins_are_looked_at_five_times(here: Installation) -> None:
    person = here.bound(here.workspace())
    code = wrong(here, person)
    told = Counter(enter(here, person, code).told for _ in range(20) for _ in range(3))
    assert told == {(403, "code-rejected"): 5, (429, "locked"): 55}
    assert failures(here, person) == 5


def test_tries_spread_over_all_doors_share_one_count(here: Installation) -> None:
    owner = here.bound(here.workspace(), "owner")
    code, mfa = wrong(here, owner), f"/v1/members/{owner.id}/mfa"
    policy = f"/v1/workspaces/{owner.workspace_id}/mfa-policy"
    doors: list[Callable[[], Reply]] = [
        lambda: enter(here, owner, code),
        lambda: here.post(f"{mfa}/unbinding", owner.granted, {"code": code}),
        lambda: here.post(f"{mfa}/unbinding", owner.granted, {"recovery_code": WRONG_RECOVERY}),
        lambda: here.put(policy, owner.granted, {"mode": "off", "code": code}),
        lambda: here.post(f"{mfa}/recovery-codes", owner.granted, {"code": code}),
    ]
    assert [door().body["attempts_left"] for door in doors] == [4, 3, 2, 1, 0]
    assert {door().told for door in doors[:2] + doors[3:]} == {(429, "locked")}


def test_two_workspaces_share_one_count(here: Installation) -> None:
    person = here.bound(here.workspace())
    here.join(person, other := here.workspace())
    code = wrong(here, person)
    places = [person.workspace_id, other] * 3
    told = [enter(here, person, code, workspace_id=place).told for place in places]
    assert told == [(403, "code-rejected")] * 5 + [(429, "locked")]


def test_a_right_and_a_wrong_and_a_used_code_get_one_answer_under_lock(here: Installation) -> None:
    person = here.bound(here.workspace())
    used = here.code(person)
    assert enter(here, person, used).status == 200
    lock(here, person)
    answers = [enter(here, person, code) for code in (wrong(here, person), used)]
    here.clock.wait(seconds=30)
    answers.append(enter(here, person, totp(person.secret, here.clock())))
    told = [{k: v for k, v in a.body.items() if k != "request_id"} for a in answers]
    assert {a.told for a in answers} == {(429, "locked")}
    assert told[0] == told[1] == told[2]


def test_locked_is_locked_at_every_door(here: Installation) -> None:
    person = here.bound(here.workspace())
    lock(here, person)
    code, mfa = here.code(person), f"/v1/members/{person.id}/mfa"
    for path in (f"{mfa}/unbinding", f"{mfa}/recovery-codes"):
        assert here.post(path, person.granted, {"code": code}).told == (429, "locked")
    assert here.login(person)["state"] == "locked"
    check = f"/v1/login-checks?workspace_id={person.workspace_id}&member_id={person.id}"
    assert here.get(check, "host").body["decision"] == "locked"


def test_many_wrong_codes_at_once_are_looked_at_five_times(here: Installation) -> None:
    person = here.bound(here.workspace())
    code, opened = wrong(here, person), here.login(person)
    path, token = f"/v1/logins/{opened['login_id']}/code", opened["login_token"]
    told = Counter(
        reply.told
        for reply in together(
            [lambda: here.post(path, token, {"code": code})] * (200 if DEEP else 50)
        )
    )
    assert set(told) <= {(403, "code-rejected"), (429, "locked"), (503, "unavailable")}
    assert told[403, "code-rejected"] == failures(here, person) == 5


def test_the_count_outlives_the_process(here: Installation) -> None:
    person = here.bound(here.workspace())
    code = wrong(here, person)
    for left in (4, 3, 2, 1, 0):
        with here.another_process() as process:
            assert enter(process, person, code).body["attempts_left"] == left
    with here.another_process() as process:
        assert enter(process, person, here.code(person)).told == (429, "locked")
        assert process.login(person)["state"] == "locked"


def test_a_hundred_strangers_lock_nobody_out(here: Installation) -> None:
    person = here.bound(here.workspace())
    for number in range(100 if DEEP else 30):
        body = {"email": person.email, **ticket_body(f"guess-{number}")}
        assert here.post("/v1/tickets", None, body).told == (403, "code-rejected")
    assert enter(here, person, here.code(person)).status == 200


def test_a_used_code_stays_used_in_every_spelling_order_and_session(here: Installation) -> None:
    person = here.bound(here.workspace())
    first = here.code(person)
    assert enter(here, person, first).status == 200
    second = here.code(person)
    assert enter(here, person, second).status == 200
    for again in (second, first, second):
        assert enter(here, person, again).told == (403, "code-rejected")
    wide = str.maketrans("0123456789", "０１２３４５６７８９")
    raised = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
    for odd in (second.translate(wide), second.translate(raised), f" {second}", f"{second} "):
        assert enter(here, person, odd).told == (422, "malformed")
    assert failures(here, person) == 0


def test_a_clock_that_goes_back_opens_no_used_step(here: Installation) -> None:
    person = here.bound(here.workspace())
    code = here.code(person)
    assert enter(here, person, code).status == 200
    here.clock.wait(minutes=-10)
    old = totp(person.secret, here.clock())
    told = {enter(here, person, each).told for each in (code, old)}
    here.clock.wait(minutes=10)
    assert told == {(403, "code-rejected")}


def test_one_digit_more_or_less_and_nothing_at_all_open_nothing(here: Installation) -> None:
    person = here.bound(here.workspace())
    code = here.code(person)
    for odd in ("", *(code[:length] for length in range(1, 6)), f"{code}0", f"{code}00"):
        assert enter(here, person, odd).told == (422, "malformed")
    assert enter(here, person, code).status == 200


def test_a_code_without_a_first_factor_opens_nothing(here: Installation) -> None:
    person = here.bound(here.workspace())
    opened, body = here.login(person), {"code": here.code(person)}
    path = f"/v1/logins/{opened['login_id']}/code"
    assert here.post(path, None, body).told == (401, "unauthenticated")
    assert here.post(path, person.granted, body).told[0] in (403, 404)
    assert here.post(path, opened["login_token"], body).status == 200


def test_secrets_are_long_and_differ(here: Installation) -> None:
    person = here.member(here.workspace())
    granted, seen = here.pass_of(person), set[str]()
    for _ in range(20 if DEEP else 4):
        seen.add(here.enrol(person, granted)["secret"])
        here.clock.wait(hours=24)
        granted = here.pass_of(person)
    assert len(seen) == (20 if DEEP else 4)
    assert {len(secret) for secret in seen} == {32}


def test_another_installation_takes_no_credential_of_this_one(
    here: Installation, database: str
) -> None:
    person = here.bound(here.workspace())
    with installed(database, master_key=a_master_key("k2")) as other:
        for token in (person.granted, here.tokens["host"], here.login(person)["login_token"]):
            assert other.get("/v1/agents", token).told == (401, "unauthenticated")


@pytest.mark.parametrize("purpose", ["login", "unbinding"])
def test_a_recovery_code_is_spent_once_even_at_once(here: Installation, purpose: str) -> None:
    person = here.bound(here.workspace())
    body = {"recovery_code": person.recovery_codes[0]}
    if purpose == "login":
        opened = here.login(person)
        path, token = f"/v1/logins/{opened['login_id']}/code", opened["login_token"]
    else:
        path, token = f"/v1/members/{person.id}/mfa/unbinding", person.granted
    told = Counter(r.status for r in together([lambda: here.post(path, token, body)] * 8))
    assert told[200] == 1
    assert set(told) <= {200, 401, 403, 409}
