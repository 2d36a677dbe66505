"""The page behind the mailed link, and the headers that every answer carries."""

import re
from dataclasses import replace
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from commands.dispatch import run
from commands.finish_login import FinishLogin
from domain.entry import PASSWORD, TWO_FACTORS
from domain.facts import Actor
from domain.member_mfa import MemberMFA
from domain.onetime import cancel_token
from domain.refusals import IllegalTransition
from tests.http.installation import PUBLIC_URL, Installation, Person, installed

BACK = "https://app.example/back"
TIME = re.compile('<time datetime="([^"]+)" data-local>([^<]+)</time>')


def link(here: Installation, ticket_id: str) -> tuple[str, str]:
    """Where the mail leads, and its token."""
    token = cancel_token(here.twinlock.keys.derived("cancel-tokens"), ticket_id=ticket_id)
    return f"/tickets/{ticket_id}/cancel", token


def test_looking_changes_nothing_and_the_button_cancels_once(here: Installation) -> None:
    filed = here.ticket(here.bound(here.workspace()))
    path, token = link(here, filed["ticket_id"])
    status = f"/v1/tickets/{filed['ticket_id']}"
    head = here.twinlock.store.head()
    for method in ("GET", "HEAD", "GET"):
        assert here.call(method, f"{path}?token={token}").status == 200
    assert here.twinlock.store.head() == head
    shown = here.get(f"{path}?token={token}")
    assert '<form method="post" action="cancel">' in shown.text
    assert here.post(path, data={"token": token}).status == 200
    assert here.get(status, filed["ticket_token"]).body["status"] == "cancelled"
    again = here.post(path, data={"token": token})
    assert again.status == 409
    assert "closed" in again.text
    assert "<form" not in here.get(f"{path}?token={token}").text


def test_the_page_speaks_english_and_chinese(here: Installation) -> None:
    filed = here.ticket(here.bound(here.workspace()))
    path, token = link(here, filed["ticket_id"])
    address = f"{path}?token={token}"
    chinese = here.get(address, headers={"Accept-Language": "zh-CN,zh;q=0.9,en;q=0.5"})
    assert '<html lang="zh-Hans">' in chinese.text
    assert "取消申请" in chinese.text
    assert "Cancel the request" in here.get(address, headers={"Accept-Language": "fr"}).text


def test_a_wrong_link_shows_no_button_and_cancels_nothing(here: Installation) -> None:
    mine = here.ticket(here.bound(here.workspace()))["ticket_id"]
    other = here.ticket(here.bound(here.workspace()))["ticket_id"]
    path, token = link(here, mine)
    wrong = {"token": link(here, other)[1]}
    assert here.post(path, data=wrong).status == 404
    assert here.post(path, data={}).status == 404
    assert here.post(path, data=b"\xff" * 100).status == 404
    assert here.post(path, data=b"&" * 100).status == 404
    assert here.post(f"/tickets/nothing{path[8:]}", data={"token": token}).status == 404
    for given in (wrong["token"], "", "x", "%22%3E%3Cscript%3E", "é" * 20):
        shown = here.get(f"{path}?token={given}")
        assert shown.status == 404
        assert "<form" not in shown.text
        assert "script" not in shown.text
        assert shown.headers["X-Request-Id"] in shown.text


@pytest.mark.parametrize(("ticket", "page"), [("x", "/tickets/x"), ("a%0d%0aX-Evil:%201", "/")])
def test_a_forms_address_leads_to_its_page_or_to_the_front_page(
    here: Installation, ticket: str, page: str
) -> None:
    shown = here.get(f"/tickets/{ticket}/withdrawal", headers={"Accept": "text/html"})
    assert (shown.status, shown.headers["Location"]) == (303, page)


def test_the_page_loads_nothing_and_is_kept_nowhere(here: Installation) -> None:
    shown = here.get("/tickets/x/cancel")
    policy = shown.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "frame-ancestors 'none'" in policy
    assert shown.headers["Cache-Control"] == "no-store"
    assert shown.headers["Referrer-Policy"] == "no-referrer"
    assert "<script" not in shown.text


@pytest.mark.parametrize("path", ["/healthz", "/v1/agents", "/nothing", "/docs"])
def test_every_answer_is_guarded_by_its_headers(here: Installation, path: str) -> None:
    answer = here.get(path)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert answer.headers["Cache-Control"] == "no-store"
    assert len(answer.headers["X-Request-Id"]) == 32


def test_a_secret_is_shown_once_and_its_picture_reads_as_the_address(here: Installation) -> None:
    member = here.member(here.workspace())
    granted = here.pass_of(member)
    shown = here.enrol(member, granted)
    assert shown["otpauth_uri"].startswith("otpauth://totp/Twinlock:")
    assert shown["secret"] in shown["otpauth_uri"]
    assert shown["qr_svg"].startswith("<svg")
    assert shown["qr_png"].startswith("iVBOR")
    again = here.get(f"/v1/members/{member.id}/mfa", granted)
    assert again.body["status"] == "enrolling"
    assert shown["secret"] not in again.text


def test_a_replaced_enrolment_is_a_conflict_and_not_counted(here: Installation) -> None:
    member = here.member(here.workspace())
    granted = here.pass_of(member)
    first = here.enrol(member, granted)
    here.clock.wait(seconds=61)
    here.enrol(member, granted)
    path = f"/v1/members/{member.id}/mfa/binding"
    body = {"code": "000000", "enrolment_id": first["enrolment_id"]}
    assert here.post(path, granted, body).told == (409, "illegal-transition")
    wrong = here.post(path, granted, {"code": "000000"})
    assert wrong.body["attempts_left"] == 4


def test_access_is_401_for_all_that_does_not_open(here: Installation) -> None:
    member = here.bound(here.workspace())
    path = f"/v1/access?workspace_id={member.workspace_id}"
    cookie = {"Cookie": f"twinlock_pass={member.granted}"}
    assert here.get(path, headers=cookie).headers["Remote-Groups"] == "member"
    assert here.get("/v1/agents", headers=cookie).status == 401
    assert here.get(path, "no-such-token", headers=cookie).status == 401
    for header, status in {
        "Basic eDp5": 200,
        "Negotiate": 200,
        "Bearer": 401,
        "bearer x y": 401,
    }.items():
        assert here.get(path, headers={**cookie, "Authorization": header}).status == status
    for wrong in ("/v1/access", f"{path}&workspace_id=x", "/v1/access?workspace_id=%0d%0a"):
        assert here.get(wrong, member.granted).told == (401, "unauthenticated")
    for token in ("host", "auditor", "e30.e30.e30"):
        assert here.get(path, token).told == (401, "unauthenticated")
    assert here.get(path, headers={"Cookie": "twinlock_pass=" + "x" * 5000}).status == 401
    assert here.get(f"{path}&anything=else", member.granted).status == 200


def test_an_exchange_code_gives_the_pass_once(here: Installation) -> None:
    member = here.bound(here.workspace(return_urls=[BACK]))
    code = hand_over(here, member)
    elsewhere = here.token("host", here.workspace())
    foreign = here.post("/v1/logins/exchange", elsewhere, {"code": code})
    assert foreign.told == (403, "code-rejected")
    done = here.post("/v1/logins/exchange", "host", {"code": code})
    assert (done.status, done.body["member_id"]) == (200, member.id)
    access = f"/v1/access?workspace_id={member.workspace_id}"
    assert here.get(access, done.body["pass"]).status == 200
    claims = here.twinlock.passes.read(done.body["pass"], here.clock())
    assert claims is not None
    granted_at = here.twinlock.store.load(MemberMFA, member.id).granted_at(done.body["login_id"])
    assert granted_at is not None
    assert claims.auth_time == granted_at.replace(microsecond=0) < claims.issued_at
    again = here.post("/v1/logins/exchange", "host", {"code": code})
    assert again.told == (403, "code-rejected")


def test_an_exchange_code_gives_nothing_where_more_is_due_by_now(here: Installation) -> None:
    member = here.member(here.workspace(return_urls=[BACK]))
    code = hand_over(here, member)
    here.enforce(member.workspace_id)
    refused = here.post("/v1/logins/exchange", "host", {"code": code})
    assert refused.told == (403, "code-rejected")


def test_a_login_does_not_go_to_an_address_that_was_taken_off_the_list(here: Installation) -> None:
    member = here.member(here.workspace(return_urls=[BACK]))
    workspace = {"name": "Office", "return_urls": [f"{BACK}/elsewhere"]}
    page = here.login(member, return_url=BACK)["page"].removeprefix(PUBLIC_URL)
    assert here.put(f"/v1/workspaces/{member.workspace_id}", "host", workspace).status == 200
    browser = here.app.test_client()
    ended = browser.get(page, follow_redirects=True)
    assert (ended.status_code, ended.headers.get("Location")) == (401, None)


@pytest.mark.parametrize(("seconds", "told"), [(50, (303, 200)), (60, (401, 403))])
def test_what_an_address_carries_holds_for_a_minute(
    here: Installation, seconds: int, told: tuple[int, int]
) -> None:
    member = here.member(here.workspace(return_urls=[BACK]))
    with here.clock.set_back(seconds=seconds):
        page, code = here.login(member)["page"], hand_over(here, member)
    arrived = here.get(page.removeprefix(PUBLIC_URL))
    exchanged = here.post("/v1/logins/exchange", "host", {"code": code})
    assert (arrived.status, exchanged.status) == told


def test_a_hosted_login_gives_no_pass_once_its_authenticator_is_gone(here: Installation) -> None:
    member = here.member(here.workspace())
    here.enforce(member.workspace_id)
    token = here.login(member)["login_token"]
    granted = here.bind(member, token)
    twinlock = here.twinlock
    credential = twinlock.credentials.find("login", token)
    assert credential is not None
    finish = FinishLogin(login=credential, amr=TWO_FACTORS)
    context = twinlock.context(Actor("member", member.id), "test")
    assert run(finish, context, twinlock.desk).token
    path, proof = f"/v1/members/{member.id}/mfa/unbinding", member.recovery_codes[0]
    assert here.post(path, granted, {"recovery_code": proof}).status == 200
    with pytest.raises(IllegalTransition):
        run(finish, context, twinlock.desk)


def hand_over(here: Installation, member: Person) -> str:
    """What the hosted page does with a granted login: the code in the address that it goes to."""
    opened = here.login(member, return_url=BACK)
    amr: tuple[str, ...] = PASSWORD
    if opened["state"] == "code_required":
        path, amr = f"/v1/logins/{opened['login_id']}/code", TWO_FACTORS
        entered = here.post(path, opened["login_token"], {"code": here.code(member)})
        assert entered.status == 200, entered.text
        here.clock.wait(seconds=2)
    login = here.twinlock.credentials.by_subject("login", opened["login_id"])
    assert login is not None
    context = replace(here.twinlock.context(Actor("member", member.id), "test"), at=here.clock())
    done = run(FinishLogin(login=login, amr=amr), context, here.twinlock.desk)
    address: str = done.address
    return parse_qs(urlsplit(address).query)["code"][0]


def test_pages_say_utc_where_the_database_has_another_zone(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGTZ", "Asia/Shanghai")
    with installed(database) as here:
        opened = here.login(here.member(here.workspace()))
        shown = here.app.test_client().get(opened["page"], follow_redirects=True)
    times = TIME.findall(shown.text)
    assert times
    for time, words in times:
        assert words.endswith(f", {datetime.fromisoformat(time):%H:%M} UTC")
