"""What others try: forms from elsewhere, stale tabs, frames, and addresses that lead astray."""

import http.client
import re
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import Page, Response, expect

from api.pages.browsers import MEMBER
from domain.member_mfa import MemberMFA
from tests.browser.conftest import Visitor
from tests.browser.support.entering import let_in, sign_in
from tests.browser.support.hosts import open_login, other_site, refused
from tests.browser.support.looking import assert_accessible, path_of
from tests.browser.support.mails import mailed_code
from tests.browser.support.people import a_person, a_workspace
from tests.browser.support.site import Site
from tests.browser.test_sessions import cookie, signed_out

HOSTILE = (
    "https://evil.example/",
    "//evil.example/",
    "///evil.example/",
    "/\\evil.example/",
    "\\\\evil.example\\",
    "/%2Fevil.example/",
    "/%5Cevil.example/",
    "https:evil.example",
    "http:/\\evil.example",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "/settings\r\nLocation: https://evil.example/",
    "/\t/evil.example/",
    " https://evil.example/",
    "https://office.example@evil.example/",
    "https://office.example.evil.example/back",
    "https://office.example/back/../../evil",
    "http://office.example/back",
    "https://office.example:8443/back",
)
"""Twenty addresses; https://office.example/back is the one that is registered."""
TITLE = "</title>'\"><img src=x onerror=alert(1)> {{ 7 * 7 }}"
DESCRIPTION = "</textarea></blockquote><script>alert(1)</script><svg onload=alert(1)>"


@pytest.mark.parametrize("address", HOSTILE)
def test_a_hostile_return_address_leads_nowhere(site: Site, page: Page, address: str) -> None:
    """UX 16: not from the host's call, and not after the sign-in of the demonstration."""
    from commands.put_workspace import PutWorkspace

    place = a_workspace(site)
    registered = ("https://office.example/back",)
    site.do(PutWorkspace(workspace_id=place, name="Office", return_urls=registered))
    person = a_person(site, place, bound=False)
    body = {"workspace_id": place, "member_id": person.id, "return_url": address}
    assert refused(site, "/v1/logins", body) == 422
    sign_in(site, page, person, quote(address, safe=""))
    page.wait_for_url("**/settings")
    assert page.url == f"{site.url}/settings"
    page.goto(f"/language/en?back={quote(address, safe='')}")
    assert page.url.startswith(f"{site.url}/")


def test_a_form_of_another_site_does_nothing(site: Site, page: Page) -> None:
    """UX 25: the cookie may come along; the form is refused all the same."""
    person = a_person(site, a_workspace(site))
    form = (
        f'<form method="post" action="{site.url}/settings/sessions/end">'
        '<input name="csrf" value="0"><button>Win</button></form>'
    )
    let_in(site, page, person, "/settings")
    with other_site(form) as elsewhere:
        page.goto(elsewhere)
        page.get_by_role("button", name="Win").click()
        expect(page.locator("h1")).to_have_text("Not allowed")
        expect(page.locator("main")).to_contain_text("sent from another website")
    assert site.twinlock.store.load(MemberMFA, person.id).revocations == 0
    assert not signed_out(page)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"}, 403),
        ({}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 409),
    ],
)
def test_without_its_token_a_form_is_refused(
    site: Site, page: Page, headers: dict[str, str], expected: int
) -> None:
    """UX 25."""
    person = a_person(site, a_workspace(site))
    let_in(site, page, person)
    there = urlsplit(site.url)
    connection = http.client.HTTPConnection(there.hostname or "", there.port, timeout=10)
    sent = {
        "Cookie": f"{MEMBER}={cookie(page.context, MEMBER)}",
        "Content-Type": "application/x-www-form-urlencoded",
        **headers,
    }
    connection.request("POST", "/settings/sessions/end", "csrf=0", sent)
    assert connection.getresponse().status == expected
    connection.close()
    assert site.twinlock.store.load(MemberMFA, person.id).revocations == 0


def test_a_stale_form_in_a_second_tab_is_told_what_happened(site: Site, page: Page) -> None:
    """UX 26: 409, in words."""
    person = a_person(site, a_workspace(site))
    let_in(site, page, person, "/settings/mfa/unbind")
    second = page.context.new_page()
    second.goto("/settings/mfa/unbind")
    page.fill("#code", person.code())
    page.check("#understood")
    page.click("button.danger")
    page.wait_for_url("**/settings")
    second.fill("#code", "123456")
    second.check("#understood")
    with second.expect_navigation() as navigation:
        second.click("button.danger")
    assert navigation.value is not None
    assert navigation.value.status == 409
    expect(second.locator("h1")).to_have_text("This page was out of date")
    expect(second.locator("main")).to_contain_text("in another tab")
    expect(second.locator("main")).to_contain_text("it may have been carried out already")
    assert site.twinlock.store.load(MemberMFA, person.id).failures == 0


def test_every_answer_carries_its_policy(site: Site, page: Page) -> None:
    """UX 25: no unsafe-*, no frames, nothing kept, nothing told to others."""
    person = a_person(site, a_workspace(site), role="owner")
    let_in(site, page, person)
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))
    for path in ("/settings", "/settings/mfa/unbind", "/tickets/new", "/nowhere", "/coverage"):
        page.goto(path)
    for answer in [a for a in answers if "/static/" not in a.url]:
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert "default-src 'none'" in policy
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_nothing_comes_from_elsewhere(site: Site, page: Page) -> None:
    person = a_person(site, a_workspace(site))
    asked: list[str] = []
    wrong: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: wrong.append(message.text))
    let_in(site, page, person, "/settings")
    page.goto("/settings/mfa/unbind")
    assert asked
    assert not [url for url in asked if not url.startswith(site.url)]
    assert wrong == []


def test_a_page_is_never_framed(site: Site, page: Page) -> None:
    """UX 25."""
    with other_site(f'<iframe src="{site.url}/sign-in"></iframe>') as elsewhere:
        page.goto(elsewhere)
        framed = page.frames[1]
        assert framed.locator("#name").count() == 0


@pytest.mark.parametrize("path", ["/nowhere", "/settings/nowhere", "/tickets/unknown-ticket"])
def test_what_is_not_there_has_a_page_with_a_request_id(site: Site, page: Page, path: str) -> None:
    """UX 26."""
    answer = page.goto(path)
    assert answer is not None
    if path.startswith("/tickets"):  # whoever is not signed in is asked to
        assert path_of(page) == "/sign-in"
        let_in(site, page, a_person(site, a_workspace(site)))
        answer = page.goto(path)
        assert answer is not None
    assert answer.status == 404
    expect(page.locator("main")).to_contain_text("Request id")
    expect(page.locator("main code")).to_have_text(answer.headers["x-request-id"])
    assert_accessible(page)


def test_a_login_that_ended_says_so(site: Site, page: Page) -> None:
    answer = page.goto("/login/")
    assert answer is not None
    assert answer.status == 401
    expect(page.locator("h1")).to_have_text("This login has ended")
    page.goto("/login/?handover=made-up")
    expect(page.locator("h1")).to_have_text("This login has ended")


def test_markup_in_what_people_write_stays_text(site: Site, page: Page, visitor: Visitor) -> None:
    """On the requester's page, and on those of the agent who works the request."""
    person = a_person(site, a_workspace(site))
    page.goto(open_login(site, person)["page"])
    page.goto("/login/ticket")
    page.fill("#title", TITLE)
    page.fill("#description", DESCRIPTION)
    page.click("main form button[type=submit]")
    expect(page.locator("#title")).to_have_value(TITLE)
    expect(page.locator("#description")).to_have_value(DESCRIPTION)
    page.fill("#code", mailed_code(site, person.email))
    page.get_by_role("button", name="File the request").click()
    page.wait_for_url("**/tickets/*")
    site.settle()
    agent = let_in(site, visitor(), a_person(site, "staff", role="support"), "/support/tickets")
    agent.get_by_role("link", name=TITLE).click()
    expect(agent.locator("h1")).to_have_text(TITLE)
    expect(agent).to_have_title(re.compile(re.escape(TITLE)))
    expect(agent.locator("blockquote")).to_have_text(DESCRIPTION)
    for shown in (page, agent):
        assert shown.locator("[src=x], [onerror], [onload], main script").count() == 0


@pytest.mark.parametrize(
    "path", ["/coverage?after=%00", "/audit?member_id=%00", "/sign-in?next=%00"]
)
def test_a_character_that_no_text_has_is_refused(site: Site, page: Page, path: str) -> None:
    """UX 26: 422 in words, and nothing of it reaches the database."""
    let_in(site, page, a_person(site, a_workspace(site), role="owner"), "/settings")
    assert page.request.get(site.url + path).status == 422
