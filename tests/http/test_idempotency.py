"""An Idempotency-Key makes a repeat safe: the first outcome once more, less its secrets."""

import json
import secrets
import threading
from typing import Any

import jsonschema
import pytest

from api.backend import Outcome
from api.repeats import SECRETS
from domain.onetime import BIND, TICKET
from tests.http.installation import Installation, Reply, ticket_body, totp
from tests.http.routes import ROUTES
from tests.http.test_roles import staff
from twinlock.adapters.idempotency import Idempotency


def key() -> dict[str, str]:
    """A fresh key."""
    return {"Idempotency-Key": secrets.token_hex(8)}


def test_a_repeated_login_is_the_same_login_without_its_secrets(here: Installation) -> None:
    member, headers = here.bound(here.workspace()), key()
    body = {"workspace_id": member.workspace_id, "member_id": member.id}
    first, again = (here.post("/v1/logins", "host", body, headers=headers) for _ in range(2))
    assert (first.status, again.status) == (201, 201)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["Twinlock-Position"] == first.headers["Twinlock-Position"]
    assert again.body["login_id"] == first.body["login_id"]
    assert "Idempotency-Replayed" not in first.headers
    assert not {"login_token", "page", "pass"} & set(again.body)
    assert first.body["login_token"] not in again.text


def test_a_query_is_part_of_what_is_repeated(here: Installation) -> None:
    member, headers = here.bound(here.workspace()), key()
    body = {"workspace_id": member.workspace_id, "member_id": member.id}
    assert here.post("/v1/logins", "host", body, headers=headers).status == 201
    odd = here.post("/v1/logins?x=1", "host", body, headers=headers)
    assert odd.told == (422, "idempotency-mismatch")


def test_a_repeated_binding_answers_although_the_old_pass_is_dead(here: Installation) -> None:
    member = here.member(here.workspace())
    granted, headers = here.pass_of(member), key()
    here.enrol(member, granted)
    path, body = f"/v1/members/{member.id}/mfa/binding", {"code": here.code(member)}
    first, again = (here.post(path, granted, body, headers=headers) for _ in range(2))
    assert (first.status, again.status) == (201, 201)
    assert again.body == {"status": "bound", "expires_in": 12 * 3600}
    assert here.post(path, granted, body).status == 401


def test_a_repeated_code_spends_nothing_more(here: Installation) -> None:
    member = here.bound(here.workspace())
    opened, headers = here.login(member), key()
    path, token = f"/v1/logins/{opened['login_id']}/code", opened["login_token"]
    body = {"code": here.code(member)}
    first = here.post(path, token, body, headers=headers)
    head = here.twinlock.store.head()
    again = here.post(path, token, body, headers=headers)
    assert (first.status, again.status) == (200, 200)
    assert again.body == {"state": "granted", "expires_in": 12 * 3600}
    assert here.twinlock.store.head() == head


def test_a_refusal_that_was_recorded_is_repeated_and_not_counted_again(
    here: Installation,
) -> None:
    member = here.bound(here.workspace())
    opened, headers = here.login(member), key()
    here.clock.wait(seconds=30)
    path, token = f"/v1/logins/{opened['login_id']}/code", opened["login_token"]
    first, again = (here.post(path, token, {"code": "000000"}, headers=headers) for _ in range(2))
    assert first.told == again.told == (403, "code-rejected")
    assert again.body["attempts_left"] == first.body["attempts_left"] == 4
    assert again.headers["Content-Type"] == "application/problem+json"
    assert here.post(path, token, {"code": "000000"}).body["attempts_left"] == 3


def test_another_body_under_the_same_key_is_not_evaluated(here: Installation) -> None:
    member = here.bound(here.workspace())
    opened, headers = here.login(member), key()
    path, token = f"/v1/logins/{opened['login_id']}/code", opened["login_token"]
    here.clock.wait(seconds=30)
    here.post(path, token, {"code": "000000"}, headers=headers)
    other = here.post(path, token, {"code": here.code(member)}, headers=headers)
    assert other.told == (422, "idempotency-mismatch")
    elsewhere = here.post(f"/v1/members/{member.id}/mfa/email-codes", token, headers=headers)
    assert elsewhere.told == (403, "forbidden")


def test_a_key_belongs_to_its_caller(here: Installation) -> None:
    headers, workspace = key(), here.workspace()
    member = here.bound(workspace)
    body = {"workspace_id": workspace, "member_id": member.id}
    mine = here.post("/v1/logins", "host", body, headers=headers)
    theirs = here.post("/v1/logins", here.token("host"), body, headers=headers)
    assert theirs.status == 201
    assert theirs.body["login_id"] != mine.body["login_id"]


def test_an_anonymous_caller_is_its_address(here: Installation) -> None:
    headers, body = key(), {"email": "nobody@example.org"}
    path = "/v1/tickets/email-codes"
    first, again = (here.post(path, None, body, headers=headers) for _ in range(2))
    assert again.body == first.body
    other = here.post(path, None, body, headers=headers, environ_base={"REMOTE_ADDR": "192.0.2.7"})
    assert other.body["challenge_id"] != first.body["challenge_id"]


@pytest.mark.parametrize("wrong", ["", "x" * 256, "a b", "é", "a\tb"])
def test_a_key_is_255_visible_characters_at_most(here: Installation, wrong: str) -> None:
    told = here.post("/v1/logins", "host", {}, headers={"Idempotency-Key": wrong}).told
    assert told == (422, "malformed")


def test_what_was_not_evaluated_can_be_tried_again(here: Installation) -> None:
    member, headers = here.member(here.workspace()), key()
    granted, path = here.pass_of(member), f"/v1/members/{member.id}/mfa/email-codes"
    assert here.post(path, granted, {}, headers=headers).told == (422, "malformed")
    assert here.post(path, granted, {"purpose": "bind"}, headers=headers).status == 202
    second = key()
    body = {"purpose": "bind"}
    assert here.post(path, granted, body, headers=second).told == (429, "too-many-requests")
    here.clock.wait(seconds=61)
    assert here.post(path, granted, body, headers=second).status == 202


def test_the_policy_is_put_once_per_key(here: Installation) -> None:
    owner, headers = here.bound(here.workspace(), "owner"), key()
    path = f"/v1/workspaces/{owner.workspace_id}/mfa-policy"
    body = {"mode": "enforced", "code": here.code(owner)}
    first, again = (here.put(path, owner.granted, body, headers=headers) for _ in range(2))
    assert (first.status, again.status) == (200, 200)
    assert again.body == first.body
    assert again.headers["Idempotency-Replayed"] == "true"


def test_of_many_at_once_one_is_carried_out(here: Installation) -> None:
    member, headers = here.bound(here.workspace()), key()
    body = {"workspace_id": member.workspace_id, "member_id": member.id}
    replies: list[Reply] = []

    def knock() -> None:
        replies.append(here.post("/v1/logins", "host", body, headers=headers))

    threads = [threading.Thread(target=knock) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    logins = {reply.body["login_id"] for reply in replies if reply.status == 201}
    assert len(logins) == 1
    assert {reply.told for reply in replies if reply.status != 201} <= {(409, "in-progress")}


def test_nothing_secret_is_kept(here: Installation) -> None:
    member = here.member(here.workspace())
    granted, mfa, keys = here.pass_of(member), f"/v1/members/{member.id}/mfa", list[str]()

    def tell(path: str, token: str, body: Any) -> Any:
        headers = key()
        keys.extend(headers.values())
        told = here.post(path, token, body, headers=headers)
        assert told.status < 300, told.text
        return told.body

    tell(f"{mfa}/email-codes", granted, {"purpose": "bind"})
    mailed = here.mailed(member, BIND)
    started = tell(f"{mfa}/enrolment", granted, {"email_code": mailed})
    member.secret = started["secret"]
    bound = tell(f"{mfa}/binding", granted, {"code": here.code(member)})
    who = {"workspace_id": member.workspace_id, "member_id": member.id}
    login = tell("/v1/logins", "host", who)
    path, code = f"/v1/logins/{login['login_id']}/code", {"code": here.code(member)}
    entered = tell(path, login["login_token"], code)
    secret = [member.secret, granted, here.tokens["host"], *bound["recovery_codes"], bound["pass"]]
    secret += [login["login_token"], login["page"].rpartition("=")[2], entered["pass"]]
    secret += [started["qr_png"], "<svg", mailed, member.email]
    rows = here.twinlock.database.fetch(
        "select it::text from idempotency it where key = any(%s)", (keys,)
    )
    assert len(rows) == len(keys) == 5
    kept = json.dumps(rows)
    assert login["login_id"] in kept
    assert [value for value in secret if value in kept] == []


class Killed(Idempotency):
    """As if the process ended between the commit and the answer, and a while ago."""

    def finish(self, caller: str, key: str, attempt: int, outcome: Outcome) -> None:
        super().abandon(caller, key, attempt)


def killed(here: Installation) -> Installation:
    twinlock = here.twinlock
    return here.with_backend(idempotency=Killed(twinlock.database, twinlock.keys.derived))


def test_a_refusal_whose_answer_was_lost_is_repeated_as_a_refusal(here: Installation) -> None:
    member, headers = here.bound(here.workspace()), key()
    opened = here.login(member)
    path, token = f"/v1/logins/{opened['login_id']}/code", opened["login_token"]
    body = {"code": "000000" if totp(member.secret, here.clock()) != "000000" else "111111"}
    lost = killed(here).post(path, token, body, headers=headers)
    assert here.post(path, token, body, headers=headers).told == (409, "in-progress")
    here.twinlock.database.execute("update idempotency set touched_at = now() - interval '10s'")
    again = here.post(path, token, body, headers=headers)
    assert (again.told, again.body) == ((403, "code-rejected"), lost.body)
    assert again.headers["Twinlock-Position"] == lost.headers["Twinlock-Position"]


def test_an_approval_whose_answer_was_lost_is_repeated_though_it_counts_by_now(
    here: Installation,
) -> None:
    agent, headers = staff(here, "support"), key()
    path = f"/v1/tickets/{here.ticket(agent)['ticket_id']}"
    here.post(f"{path}/claim", "support")
    ask = (f"{path}/approve", "support", {"reason": "Yes."})
    assert killed(here).post(*ask, headers=headers).status == 200
    assert here.post(*ask, headers=headers).told == (409, "in-progress")
    here.twinlock.database.execute("update idempotency set touched_at = now() - interval '10s'")
    assert here.post(*ask, headers=headers).status == 200


def test_a_success_whose_answer_was_lost_is_repeated_with_its_status(here: Installation) -> None:
    member, headers = here.bound(here.workspace()), key()
    body = {"workspace_id": member.workspace_id, "member_id": member.id}
    assert killed(here).post("/v1/logins", "host", body, headers=headers).status == 201
    here.twinlock.database.execute("update idempotency set touched_at = now() - interval '10s'")
    again = here.post("/v1/logins", "host", body, headers=headers)
    assert (again.status, again.text) == (201, "")


def test_nothing_that_people_wrote_is_kept(here: Installation) -> None:
    member = here.bound(here.workspace())
    path, headers = f"/v1/tickets/{here.ticket(member)['ticket_id']}/claim", key()
    first, again = (here.post(path, "support", headers=headers) for _ in range(2))
    assert first.body["description"] == "It fell\ninto a lake."
    assert again.body == {**first.body, "title": None, "description": None, "reason": None}
    rows = here.twinlock.database.fetch("select body::text from idempotency")
    assert "It fell" not in again.text + json.dumps(rows)


def test_every_post_and_the_policy_are_repeatable(here: Installation) -> None:
    document: Any = here.get("/openapi.json").body
    for route in ROUTES:
        path = route.rule.partition("?")[0]
        said = document["paths"][path][route.method.lower()]["responses"].get("409", {})
        repeatable = route.method == "POST" or (route.method, path[-10:]) == ("PUT", "mfa-policy")
        assert ("in-progress" in said.get("description", "")) is repeatable, route.name


def test_every_repeat_that_lacks_a_secret_fits_the_document(here: Installation) -> None:
    document: Any = here.get("/openapi.json").body
    member = here.member(here.workspace())
    mfa, seen = "/v1/members/{member_id}/mfa", set[str]()

    def twice(template: str, token: str | None, body: Any, **more: str) -> dict[str, Any]:
        path, headers = template.format(member_id=member.id, **more), key()
        first, again = (here.post(path, token, body, headers=headers) for _ in range(2))
        assert again.headers["Idempotency-Replayed"] == "true", first.text
        missing = set(first.body) - set(again.body)
        assert missing <= SECRETS
        seen.update(missing)
        said = document["paths"][template]["post"]["responses"][str(again.status)]
        schema = said["content"]["application/json"]["schema"]
        whole = {**schema, "components": document["components"]}
        jsonschema.validate(again.body, whole, cls=jsonschema.Draft202012Validator)
        return dict(first.body)

    granted = here.pass_of(member)
    twice(f"{mfa}/email-codes", granted, {"purpose": "bind"})
    enrolled = twice(f"{mfa}/enrolment", granted, {"email_code": here.mailed(member, BIND)})
    member.secret = enrolled["secret"]
    twice(f"{mfa}/binding", granted, {"code": here.code(member)})
    who = {"workspace_id": member.workspace_id, "member_id": member.id}
    login = twice("/v1/logins", "host", who)
    token = login["login_token"]
    sent = twice("/v1/tickets/email-codes", token, {})
    code = here.mailed(member, TICKET, sent["challenge_id"])
    filed = twice("/v1/tickets", token, ticket_body(sent["challenge_id"], code))
    twice("/v1/tickets/{ticket_id}/claim", "support", None, ticket_id=filed["ticket_id"])
    code = here.code(member)
    path = "/v1/logins/{login_id}/code"
    entered = twice(path, token, {"code": code}, login_id=login["login_id"])
    twice(f"{mfa}/recovery-codes", entered["pass"], {"code": here.code(member)})
    twice(f"{mfa}/unbinding", entered["pass"], {"code": here.code(member)})
    assert seen == SECRETS
