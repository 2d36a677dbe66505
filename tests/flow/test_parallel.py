"""One right code, fifty requests at once, two API processes: exactly one is accepted."""

import time
from collections import Counter
from collections.abc import Sequence

import pytest
from prometheus_client.mmap_dict import MmapedDict

from tests.flow.client import Call, Reply
from tests.flow.installation import Installation
from tests.flow.people import (
    Person,
    a_bound_member,
    a_member,
    a_workspace,
    confirm_mailbox,
    enrol,
    enter,
    log_in,
    pass_with_code,
)

pytestmark = pytest.mark.live
MANY = 50


def served(small: Installation) -> Counter[str]:
    """How many requests each API process has answered, as its own counters say."""
    found: Counter[str] = Counter()
    for file in small.counters.glob("counter_*.db"):
        rows = MmapedDict.read_all_values_from_file(str(file))  # type: ignore[no-untyped-call]
        found[file.stem] = round(sum(row[1] for row in rows))
    return found


def race(small: Installation, calls: Sequence[Call]) -> list[Reply]:
    """Make the calls at once; both processes have to answer some of them."""
    before = served(small)
    replies = small.client.together(calls)
    new = served(small) - before
    assert len(new) == 2, new
    assert sum(new.values()) == len(calls)
    return replies


def told(replies: Sequence[Reply]) -> Counter[tuple[int, str]]:
    """How often each answer was given."""
    return Counter(reply.told for reply in replies)


def types(small: Installation, person: Person) -> Counter[str]:
    """How often each event lies in the member's history."""
    path = f"/v1/audit?member_id={person.id}&limit=500&at_least={small.client.replies[-1].position}"
    trail = small.client.get(path, small.tokens["auditor"])
    assert trail.status == 200, trail.raw
    return Counter(item["type"] for item in trail.body["items"])


def wrong_codes(small: Installation, person: Person) -> list[str]:
    """Why codes were refused, by the member's history."""
    path = f"/v1/audit?member_id={person.id}&type=mfa.code_rejected&limit=500"
    items = small.client.get(path, small.tokens["auditor"]).body["items"]
    return [item["data"]["reason"] for item in items]


def test_one_login_is_granted_once(small: Installation) -> None:
    person = a_bound_member(small, a_workspace(small))
    login = log_in(small, person)
    path = f"/v1/logins/{login['login_id']}/code"
    call = Call("POST", path, login["login_token"], {"code": person.phone.code()})
    found = told(race(small, [call] * MANY))
    assert found.pop((200, "")) == 1
    assert set(found) <= {(403, "code-rejected"), (409, "illegal-transition")}
    log_in(small, person)
    seen = types(small, person)
    assert (seen["mfa.code_accepted"], seen["mfa.locked"]) == (1, 0)


def test_fifty_logins_with_one_code_are_granted_once(small: Installation) -> None:
    person = a_bound_member(small, a_workspace(small))
    logins = [log_in(small, person) for _ in range(MANY)]
    code = {"code": person.phone.code()}
    calls = [
        Call("POST", f"/v1/logins/{each['login_id']}/code", each["login_token"], code)
        for each in logins
    ]
    assert told(race(small, calls)) == {(200, ""): 1, (403, "code-rejected"): MANY - 1}
    assert log_in(small, person)["state"] == "code_required"
    assert types(small, person)["mfa.code_accepted"] == 1
    assert set(wrong_codes(small, person)) == {"used"}


def test_binding_happens_once(small: Installation) -> None:
    person = a_member(small, a_workspace(small))
    token = log_in(small, person)["pass"]
    enrol(small, person, token, confirm_mailbox(small, person, token))
    call = Call("POST", f"{person.mfa}/binding", token, {"code": person.phone.code()})
    replies = race(small, [call] * MANY)
    found = told(replies)
    assert found.pop((201, "")) == 1
    assert {status for status, _ in found} <= {401, 403, 409}
    assert log_in(small, person)["state"] == "code_required"
    seen = types(small, person)
    assert (seen["mfa.bound"], seen["mfa.recovery_codes_issued"]) == (1, 1)
    assert "wrong" not in wrong_codes(small, person)


def test_unbinding_happens_once(small: Installation) -> None:
    person = a_bound_member(small, a_workspace(small))
    token = pass_with_code(small, person)
    call = Call("POST", f"{person.mfa}/unbinding", token, {"code": person.phone.code()})
    found = told(race(small, [call] * MANY))
    assert found.pop((200, "")) == 1
    assert {status for status, _ in found} <= {401, 403, 409}
    assert log_in(small, person)["state"] == "granted"
    assert types(small, person)["mfa.unbound"] == 1


def test_one_code_opens_one_door_only(small: Installation) -> None:
    """A login and an unbinding at once, with the same code: one of them."""
    person = a_bound_member(small, a_workspace(small))
    token, login = pass_with_code(small, person), log_in(small, person)
    code = {"code": person.phone.code()}
    path = f"/v1/logins/{login['login_id']}/code"
    calls = [
        Call("POST", path, login["login_token"], code),
        Call("POST", f"{person.mfa}/unbinding", token, code),
    ]
    replies = small.client.together(calls)
    assert sorted(reply.status == 200 for reply in replies) == [False, True]


def test_the_code_of_a_login_is_refused_at_unbinding(small: Installation) -> None:
    person = a_bound_member(small, a_workspace(small))
    token = pass_with_code(small, person)
    spent = {"code": person.phone.given[-1]}
    assert small.client.post(f"{person.mfa}/unbinding", token, spent).told == (403, "code-rejected")
    fresh = {"code": person.phone.code()}
    assert small.client.post(f"{person.mfa}/unbinding", token, fresh).status == 200


def test_the_step_before_the_last_used_one_is_refused(small: Installation) -> None:
    person = a_bound_member(small, a_workspace(small))
    step = max(int(time.time()) // 30 + 1, person.phone.step + 1)
    assert enter(small, log_in(small, person), code=person.phone.at(step)).status == 200
    login = log_in(small, person)  # the window still holds the step before for half a minute
    refused = enter(small, login, code=person.phone.at(step - 1))
    assert refused.told == (403, "code-rejected")
    assert refused.body["attempts_left"] == 5
    path = f"/v1/logins/{login['login_id']}"
    assert small.client.get(path, login["login_token"]).body["state"] == "code_required"
