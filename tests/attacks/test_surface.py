"""The whole HTTP surface: every route of the application, pages included, as outsiders try it."""

import base64
import time
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from werkzeug.routing import Rule

from tests.http.installation import PUBLIC_URL, Installation, Reply
from tests.http.routes import ROUTES, Things

EVIL = "evil.example"
POISONS = (
    {"Host": EVIL},
    {"X-Forwarded-Host": EVIL, "X-Forwarded-Proto": "http", "X-Forwarded-Prefix": f"/{EVIL}"},
    {"Forwarded": f"host={EVIL};proto=http"},
    {"X-Original-URL": EVIL},
)
"""Headers that name another place than the one that is asked."""

INSIDES = ("Traceback", 'File "', "psycopg", "select ", "SELECT ", "twinlock/", "api/", "werkzeug")


def rules(here: Installation, method: str) -> list[Rule]:
    """Every rule of the application that takes the method."""
    found = [rule for rule in here.app.url_map.iter_rules() if method in (rule.methods or ())]
    assert found
    return found


def made_up(rule: Rule) -> str:
    """The rule's path, with an id that is nobody's."""
    parts = dict.fromkeys(rule.arguments, 1)
    built = rule.build(parts, append_unknown=False)
    assert built is not None
    return built[1]


@pytest.fixture
def things(here: Installation) -> Things:
    """Somebody and what belongs to them."""
    person = here.bound(here.workspace())
    opened = here.login(person)
    return Things(person, opened["login_id"], here.ticket(person)["ticket_id"])


def test_no_answer_believes_the_host_of_the_request(here: Installation) -> None:
    for rule in rules(here, "GET"):
        path = made_up(rule)
        for address in {path, path.rstrip("/") or "/", f"{path}/"}:
            for poison in POISONS:
                answer = here.get(address, headers=poison)
                assert EVIL not in answer.text, (address, poison)
                assert EVIL not in str(answer.headers), (address, poison)


@pytest.mark.parametrize("proxies", [0, 1])
def test_no_address_that_is_handed_out_is_of_the_requests_making(
    here: Installation, things: Things, proxies: int
) -> None:
    """Mails too: tests/flow/test_end_to_end.py follows a link out of one."""
    behind, who = here.with_backend(trusted_proxies=proxies), things.member
    body = {"workspace_id": who.workspace_id, "member_id": who.id}
    for poison in POISONS:
        opened = behind.post("/v1/logins", "host", body, headers=poison)
        assert opened.body["page"].startswith(f"{PUBLIC_URL}/login/?handover=")
        assert EVIL not in opened.text + str(opened.headers)


def test_asking_changes_nothing(here: Installation, things: Things) -> None:
    here.clock.wait(seconds=31)
    head, token = here.twinlock.store.head(), here.login(things.member)["login_token"]
    head = here.twinlock.store.head()
    for rule in rules(here, "GET"):
        for path in (made_up(rule), *(things.path(r) for r in ROUTES if r.template == rule.rule)):
            for method in ("GET", "HEAD"):
                for caller in (None, "host", "support", things.member.granted, token):
                    here.call(method, path, caller)
    assert here.twinlock.store.head() == head


def test_no_other_method_does_what_its_neighbour_does(here: Installation, things: Things) -> None:
    pair = base64.b64encode(f"host:{here.tokens['host']}".encode()).decode()
    for route in ROUTES:
        for word in (pair, here.tokens["host"], things.member.granted):
            basic = {"Authorization": f"Basic {word}"}
            answer = here.call(route.method, things.path(route), None, route.body, headers=basic)
            assert answer.told == (401, "unauthenticated"), route.name
        for method in ("OPTIONS", "PATCH", "TRACE", "CONNECT", "PROPFIND"):
            answer = here.call(method, things.path(route), "host", route.body)
            assert answer.told == (405, "method-not-allowed"), (method, route.name)
        odd = here.post(things.path(route), "host", headers={"X-HTTP-Method-Override": "DELETE"})
        assert odd.status != 204


def test_headers_of_proxies_make_nobody_of_anybody(here: Installation, things: Things) -> None:
    boast = {
        "X-User": things.member.id,
        "X-Forwarded-User": things.member.id,
        "X-Forwarded-For": "127.0.0.1",
        "X-Real-IP": "127.0.0.1",
        "X-Forwarded-Uri": "/healthz",
        "X-Original-Url": "/healthz",
        "X-Forwarded-Prefix": "/healthz",
        "X-Remote-User": things.member.id,
        "Remote-User": things.member.id,
        "Remote-Amr": "mfa",
    }
    for route in ROUTES:
        answer = here.call(route.method, things.path(route), None, route.body, headers=boast)
        assert answer.told == (401, "unauthenticated"), route.name
    for address in ("/v1/access", "/v1/access?workspace_id=", "/v1/access?workspace_id=%ff%00"):
        assert here.get(address, headers=boast).told == (401, "unauthenticated")


def test_nothing_of_the_inside_shows_in_what_is_refused(here: Installation, things: Things) -> None:
    odd: tuple[dict[str, Any], ...] = (
        {"data": b"\xff\xfe{", "content_type": "application/json"},
        {"data": b"{" * 5000, "content_type": "application/json"},
        {"data": b"a=1", "content_type": "application/x-www-form-urlencoded"},
        {"headers": {"Idempotency-Key": "' or 1=1 --"}},
        {"query_string": "a[]=1&a[b]=2&' or 1=1 --=%00"},
    )
    for rule in (*rules(here, "POST"), *rules(here, "GET")):
        method = "POST" if "POST" in (rule.methods or ()) else "GET"
        for more in (*odd, {"headers": {"Authorization": "Bearer " + "e30." * 3}}):
            answer = here.call(method, made_up(rule), None, **more)
            assert answer.status < 500, (rule.rule, more)
            if answer.status >= 400:
                assert not [word for word in INSIDES if word in answer.text], rule.rule
    login_token = here.login(things.member)["login_token"]
    for route in [route for route in ROUTES if route.method != "DELETE"]:
        path = things.path(route).partition("?")[0]
        for caller in ("host", "support", things.member.granted, login_token):
            for more in odd:
                answer = here.call(route.method, path, caller, **more)
                assert answer.status < 500, (route.name, more)
                assert answer.status != 401, (route.name, more)
                if answer.status >= 400:
                    assert not [word for word in INSIDES if word in answer.text], route.name


def test_empty_bodies_skip_no_step(here: Installation, things: Things) -> None:
    assert here.post(f"/v1/tickets/{things.ticket_id}/claim", "support").status == 200
    token = here.login(things.member)["login_token"]
    tokens = (token, things.member.granted, "host", "support")
    empty: tuple[dict[str, Any], ...] = (
        {},
        {"code": ""},
        {"code": None},
        {"code": []},
        {"code": {}},
    )
    for route in ROUTES:
        if route.method != "POST" or route.body is None:
            continue
        for caller in tokens:
            for body in empty:
                began = time.process_time()
                answer = here.post(things.path(route), caller, body)
                assert 400 <= answer.status < 500, (route.name, caller, body)
                assert answer.status != 401, (route.name, caller)
                assert time.process_time() - began < 2


def test_a_form_is_read_to_the_limit_and_no_further(here: Installation) -> None:
    class Long(BytesIO):
        """A hundred megabytes of a file, as a server hands on what comes in pieces."""

        taken = 0
        begin = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'

        def readinto(self, into: Any) -> int:
            if self.taken > 100_000_000:
                return 0
            piece = self.begin if not self.taken else b"a" * len(into)
            piece = piece[: len(into)]
            into[: len(piece)] = piece
            self.taken += len(piece)
            return len(piece)

    for rule in rules(here, "POST"):
        for kind in ("multipart/form-data; boundary=b", "application/x-www-form-urlencoded"):
            stream = Long()
            answer = here.post(
                made_up(rule),
                input_stream=stream,
                content_type=kind,
                environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
            )
            assert 400 <= answer.status < 500, rule.rule
            assert stream.taken < 200_000, rule.rule


def test_many_parameters_and_long_headers_cost_little(here: Installation) -> None:
    address = "/v1/audit?" + "&".join(f"a{n}={n}" for n in range(5_000))
    long = {"Accept-Language": "en," * 2_500, "Cookie": "a=b; " * 1_500, "User-Agent": "x" * 8_000}
    began = time.process_time()
    assert here.get(address, "auditor").told == (422, "malformed")
    assert here.get("/tickets/x/cancel", headers=long).status == 404
    assert time.process_time() - began < 1


@pytest.mark.parametrize("odd", ["a\r\nX-Evil: 1", "a\nSet-Cookie: x=1", "a%0d%0aX-Evil:%201", "é"])
def test_no_header_is_split(here: Installation, things: Things, odd: str) -> None:
    for name in ("X-Request-Id", "Idempotency-Key"):
        if "\n" not in odd:
            answer = here.get("/v1/agents", headers={name: odd.encode().decode("latin-1")})
            assert "X-Evil" not in answer.headers
    for address in (f"/v1/access?workspace_id={odd}", f"/?back={odd}", f"/sign-in?next={odd}"):
        answer = here.get(address, things.member.granted)
        assert "X-Evil" not in answer.headers
        assert "x=1" not in str(answer.headers.get("Set-Cookie"))


def test_no_answer_is_kept_by_caches(here: Installation, things: Things) -> None:
    public = {"/.well-known/jwks.json", "/.well-known/notary.json"}
    for rule in rules(here, "GET"):
        if rule.rule in public or "static" in rule.rule or rule.rule.startswith("/docs"):
            continue
        answer = here.get(made_up(rule))
        kept = answer.headers["Cache-Control"]
        assert "no-store" in kept or ("max-age" in kept and answer.status == 200), rule.rule
        assert "Set-Cookie" not in answer.headers or "no-store" in kept
    for answer in told_to_callers(here, things):
        assert answer.status in (200, 201), answer.text
        assert answer.headers.get("Cache-Control") == "no-store", answer.text


def told_to_callers(here: Installation, things: Things) -> Iterator[Reply]:
    """Each thing that can be read, a pass, and recovery codes."""
    member = things.member
    for route in ROUTES:
        if route.method == "GET" and not route.rule.startswith("/v1/audit/"):
            role = next((r for r in ("host", "support", "auditor") if r in route.allowed), None)
            yield here.get(things.path(route), role)
    body = {"workspace_id": member.workspace_id, "member_id": member.id}
    yield (login := here.post("/v1/logins", "host", body))
    path, token = f"/v1/logins/{login.body['login_id']}/code", login.body["login_token"]
    yield here.post(path, token, {"code": here.code(member)})
    renew = f"/v1/members/{member.id}/mfa/recovery-codes"
    yield here.post(renew, member.granted, {"code": here.code(member)})


def test_a_secret_opened_once_is_not_kept_by_caches(here: Installation) -> None:
    person = here.member(here.workspace())
    granted = here.pass_of(person)
    here.post(f"/v1/members/{person.id}/mfa/email-codes", granted, {"purpose": "bind"})
    path, body = (
        f"/v1/members/{person.id}/mfa/enrolment",
        {"email_code": here.mailed(person, "bind")},
    )
    shown = here.post(path, granted, body)
    assert shown.headers["Cache-Control"] == "no-store"
    for again in (here.get(path, granted), here.post(path, granted, body)):
        assert again.status in (403, 405)
        assert shown.body["secret"] not in again.text
