"""Strangers: the same answers for everybody, a limit for each address, and no more than tickets."""

import secrets
from typing import Any

import pytest

from domain.onetime import ANONYMOUS, TICKET
from tests.http.installation import Installation, ticket_body

CODES = "/v1/tickets/email-codes"


def test_known_and_unknown_addresses_are_answered_alike(here: Installation) -> None:
    member = here.bound(here.workspace())
    known = here.post(CODES, None, {"email": member.email})
    unknown = here.post(CODES, None, {"email": "nobody@example.org"})
    assert known.status == unknown.status == 202
    assert set(known.body) == set(unknown.body) == {"challenge_id", "expires_at"}
    refused = [
        here.post("/v1/tickets", None, {"email": email, **ticket_body(sent.body["challenge_id"])})
        for email, sent in ((member.email, known), ("nobody@example.org", unknown))
    ]
    assert refused[0].told == refused[1].told == (403, "code-rejected")
    bodies = [{k: v for k, v in r.body.items() if k != "request_id"} for r in refused]
    assert bodies[0] == bodies[1]
    assert set(known.headers.keys()) == set(unknown.headers.keys())


def test_surplus_codes_are_silently_unsent(here: Installation) -> None:
    member = here.bound(here.workspace())
    for _ in range(3):
        assert here.post(CODES, None, {"email": member.email}).status == 202
    assert here.codes_sent(member, ANONYMOUS) == 1
    here.clock.wait(seconds=61)
    assert here.post(CODES, None, {"email": member.email}).status == 202
    assert here.codes_sent(member, ANONYMOUS) == 2


def test_an_unbound_member_with_a_right_code_is_told_so(here: Installation) -> None:
    member = here.member(here.workspace())
    sent = here.post(CODES, None, {"email": member.email})
    code = here.mailed(member, "anonymous_ticket", sent.body["challenge_id"])
    body = {"email": member.email, **ticket_body(sent.body["challenge_id"], code)}
    assert here.post("/v1/tickets", None, body).told == (409, "not-bound")


def test_a_second_ticket_is_one_too_many(here: Installation) -> None:
    member = here.bound(here.workspace())
    here.ticket(member)
    opened = here.login(member)
    token = opened["login_token"]
    sent = here.post(CODES, token)
    code = here.mailed(member, "ticket", sent.body["challenge_id"])
    body = ticket_body(sent.body["challenge_id"], code)
    assert here.post("/v1/tickets", token, body).told == (409, "ticket-open")


def test_a_login_token_files_for_its_own_member_only(here: Installation) -> None:
    workspace = here.workspace()
    member, other = here.bound(workspace), here.bound(workspace)
    token = here.login(member)["login_token"]
    sent = here.post(CODES, token, {"email": other.email})
    assert (sent.status, set(sent.body)) == (202, {"challenge_id", "expires_at"})
    told = [here.codes_sent(p, kind) for p in (member, other) for kind in (TICKET, ANONYMOUS)]
    assert told == [0, 0, 0, 0]
    body = {"email": other.email, **ticket_body(sent.body["challenge_id"])}
    assert here.post("/v1/tickets", token, body).told == (403, "code-rejected")


def test_the_limit_is_per_address_and_covers_both_calls(here: Installation) -> None:
    strict = here.with_backend(anonymous_limit=3)
    mine: dict[str, Any] = {"environ_base": {"REMOTE_ADDR": "198.51.100.1"}}
    theirs: dict[str, Any] = {"environ_base": {"REMOTE_ADDR": "198.51.100.2"}}
    for _ in range(2):
        assert strict.post(CODES, None, {"email": "a@b.org"}, **mine).status == 202
        for path, body in ((CODES, {}), ("/v1/tickets", ticket_body("c"))):
            assert strict.post(path, None, body, **mine).told == (422, "malformed")
    ticket = {"email": "a@b.org", **ticket_body("c")}
    assert strict.post("/v1/tickets", None, ticket, **mine).status == 403
    refused = strict.post(CODES, None, {"email": "a@b.org"}, **mine)
    assert refused.told == (429, "too-many-requests")
    assert 3500 < int(refused.headers["Retry-After"]) <= 3600
    assert strict.post(CODES, None, {"email": 1}, **mine).told == (422, "malformed")
    assert strict.post(CODES, None, {"email": "a@b.org"}, **theirs).status == 202
    assert strict.get("/healthz", **mine).status == 200
    login = here.login(here.bound(here.workspace()))
    assert strict.post(CODES, login["login_token"], **mine).status == 202
    strict.clock.wait(minutes=61)
    assert strict.post(CODES, None, {"email": "a@b.org"}, **mine).status == 202


def test_what_strangers_have_kept_is_within_their_limit(here: Installation) -> None:
    strict = here.with_backend(anonymous_limit=1)
    mine: dict[str, Any] = {"environ_base": {"REMOTE_ADDR": "198.51.100.3"}}
    kept = "select count(*) from idempotency"
    ((before,),) = here.twinlock.database.fetch(kept)
    told = [
        strict.post(
            path, None, body, headers={"Idempotency-Key": secrets.token_hex(8)}, **mine
        ).told
        for path, body in (
            (CODES, {}),
            ("/v1/tickets", ticket_body("c")),
            (CODES, {"email": 1}),
            (CODES, {"email": "a@b.org"}),
            (CODES, {"email": "a@b.org"}),
        )
    ]
    assert told == [*[(422, "malformed")] * 3, (202, ""), (429, "too-many-requests")]
    assert here.twinlock.database.fetch(kept) == [(before + 1,)]


@pytest.mark.parametrize(
    ("proxies", "forwarded", "statuses"),
    [
        (0, ["203.0.113.1", "203.0.113.2"], [202, 429]),
        (1, ["203.0.113.3", "203.0.113.4"], [202, 202]),
        (1, ["9.9.9.9, 203.0.113.5", "8.8.8.8, 203.0.113.5"], [202, 429]),
        (2, ["203.0.113.6, 10.0.0.1", "203.0.113.7, 10.0.0.1"], [202, 202]),
        (1, ["2001:db8:1:1::1", "2001:db8:1:1::2"], [202, 429]),
        (1, ['", 203.0.113.8', "203.0.113.8"], [202, 429]),
        (1, ["203.0.113.9:4711", "203.0.113.9:4712"], [202, 429]),
        (1, ["[2001:db8:1:2::1]:4711", "[2001:db8:1:2::2]:4712"], [202, 429]),
    ],
)
def test_forwarded_addresses_count_only_behind_so_many_proxies(
    here: Installation, proxies: int, forwarded: list[str], statuses: list[int]
) -> None:
    behind = here.with_backend(anonymous_limit=1, trusted_proxies=proxies)
    seen = [
        behind.post(
            CODES,
            None,
            {"email": "a@b.org"},
            headers={"X-Forwarded-For": value},
            environ_base={"REMOTE_ADDR": f"192.0.2.{proxies + 100}"},
        ).status
        for value in forwarded
    ]
    assert seen == statuses


def test_addresses_are_not_kept_in_clear(here: Installation) -> None:
    where = {"environ_base": {"REMOTE_ADDR": "198.51.100.77"}}
    here.post(CODES, None, {"email": "a@b.org"}, **where)
    rows = here.twinlock.database.fetch("select name, caller from limited_calls")
    assert rows
    assert all(len(bytes(caller)) == 32 for _, caller in rows)
