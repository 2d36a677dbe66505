"""Browsers' sessions: cookies, a new id at each step up, limits, the list, and what ends them."""

from datetime import UTC, datetime, timedelta

import psycopg
from playwright.sync_api import BrowserContext, Page, expect

from api.pages.browsers import LOGIN, MEMBER
from commands.remove_member import RemoveMember
from commands.revoke_sessions import RevokeSessions
from commands.set_policy import SetPolicy
from tests.browser.conftest import Visitor
from tests.browser.support.entering import let_in, sign_in
from tests.browser.support.hosts import open_login
from tests.browser.support.looking import path_of
from tests.browser.support.people import a_person, a_workspace
from tests.browser.support.site import Site
from tests.browser.support.walking import enter


def cookie(context: BrowserContext, name: str) -> str | None:
    found = [c for c in context.cookies() if c["name"] == name]
    return found[0]["value"] if found else None


def carry(site: Site, page: Page, name: str, value: str) -> None:
    """Put a cookie that somebody kept into the browser."""
    secure = site.url.replace("http:", "https:")
    kept = {"name": name, "value": value, "url": secure, "httpOnly": True, "secure": True}
    page.context.add_cookies([kept])  # type: ignore[list-item]


def signed_out(page: Page) -> bool:
    page.goto("/settings")
    return path_of(page) == "/sign-in"


def test_cookies_are_closed_to_everything_but_the_site(site: Site, page: Page) -> None:
    """UX 25."""
    person = a_person(site, a_workspace(site))
    page.goto(open_login(site, person)["page"])
    enter(page, person.wrong_code())
    page.goto("/language/zh?back=/login/")
    enter(page, person.code())
    cookies = page.context.cookies()
    assert {MEMBER, "__Host-twinlock-language"} <= {c["name"] for c in cookies}
    for each in cookies:
        assert each["name"].startswith("__Host-"), each["name"]
        assert each["secure"]
        assert each["httpOnly"]
        assert each["path"] == "/"
        assert each["sameSite"] in ("Lax", "Strict")
    assert page.evaluate("document.cookie") == ""


def test_a_session_is_kept_as_a_hash(site: Site, page: Page) -> None:
    person = a_person(site, a_workspace(site))
    sign_in(site, page, person)
    token = cookie(page.context, MEMBER)
    assert token
    assert len(token) >= 43, "256 bits"
    with psycopg.connect(site.twinlock.database.uri) as connection:
        rows = connection.execute("SELECT sessions::text FROM sessions").fetchall()
    assert rows
    assert not [row for row in rows if token in row[0]]


def test_each_step_up_has_a_new_id_and_the_old_one_is_void(
    site: Site, page: Page, visitor: Visitor
) -> None:
    """UX 25: what was the session's id before a code, or before unbinding, opens nothing."""
    person = a_person(site, a_workspace(site))
    page.goto(open_login(site, person)["page"])
    before = cookie(page.context, LOGIN)
    assert before
    enter(page, person.code())
    first = cookie(page.context, MEMBER)
    assert first
    assert cookie(page.context, LOGIN) is None
    thief = visitor()
    carry(site, thief, LOGIN, before)
    thief.goto("/login/")
    expect(thief.locator("h1")).to_have_text("This login has ended")
    carry(site, thief, MEMBER, before)
    assert signed_out(thief)
    page.goto("/settings/mfa/unbind")
    page.fill("#code", person.code())
    page.check("#understood")
    page.click("button.danger")
    page.wait_for_url("**/settings")
    assert cookie(page.context, MEMBER) != first
    carry(site, thief, MEMBER, first)
    assert signed_out(thief)
    assert not signed_out(page)


def test_an_id_of_somebodys_own_making_is_never_taken_over(site: Site, page: Page) -> None:
    """Session fixation: signing in under a planted cookie makes a new id."""
    person = a_person(site, a_workspace(site))
    carry(site, page, MEMBER, "planted" * 6)
    sign_in(site, page, person)
    assert cookie(page.context, MEMBER) not in (None, "planted" * 6)


def test_the_list_shows_sessions_and_ends_them(site: Site, page: Page, visitor: Visitor) -> None:
    person = a_person(site, a_workspace(site))
    let_in(site, page, person, "/settings")
    other = let_in(site, visitor(), person, "/settings")
    page.reload()
    expect(page.locator(".sessions li")).to_have_count(2)
    expect(page.locator(".pill")).to_have_count(1)
    page.locator(".sessions li").filter(has_not=page.locator(".pill")).locator("button").click()
    expect(page.get_by_role("status")).to_have_text("The session has ended.")
    assert signed_out(other)
    assert not signed_out(page)


def test_somebody_elses_session_cannot_be_ended(site: Site, page: Page, visitor: Visitor) -> None:
    place = a_workspace(site)
    victim, other = a_person(site, place), a_person(site, place)
    theirs = let_in(site, visitor(), victim, "/settings")
    target = theirs.locator(".sessions form").get_attribute("action")
    let_in(site, page, other, "/settings")
    page.locator(".sessions form").evaluate("(form, to) => { form.action = to }", target)
    page.locator(".sessions button").click()
    expect(page.locator("h1")).to_have_text("Nothing here")
    assert not signed_out(theirs)


def test_sign_out_everywhere(site: Site, page: Page, visitor: Visitor) -> None:
    person = a_person(site, a_workspace(site))
    let_in(site, page, person, "/settings")
    other = let_in(site, visitor(), person, "/settings")
    page.get_by_role("button", name="Sign out everywhere").click()
    expect(page.get_by_role("status")).to_have_text("You are signed out everywhere.")
    assert signed_out(other)
    assert signed_out(page)


def test_revocation_removal_and_enforcement_stop_a_session_at_once(
    site: Site, visitor: Visitor
) -> None:
    place = a_workspace(site)
    revoked, removed = a_person(site, place), a_person(site, place)
    pages = [let_in(site, visitor(), each, "/settings") for each in (revoked, removed)]
    site.do(RevokeSessions(member_id=revoked.id))
    site.do(RemoveMember(workspace_id=place, member_id=removed.id))
    assert [signed_out(page) for page in pages] == [True, True]
    owner = a_person(site, place, role="owner", bound=False)
    page = let_in(site, visitor(), owner, "/coverage")
    expect(page.locator("h1")).to_contain_text("coverage")
    site.do(SetPolicy(workspace_id=place, mode="enforced"))
    for path in ("/coverage", "/policy", "/policy/preview?mode=enforced"):
        page.goto(path)
        expect(page.locator("h1")).to_have_text("Not allowed")


def test_idle_and_absolute_limits(site: Site, page: Page) -> None:
    """Half an hour without use, or twelve hours: whichever comes first."""
    person = a_person(site, a_workspace(site))
    sign_in(site, page, person)

    def age(column: str, by: timedelta) -> None:
        with psycopg.connect(site.twinlock.database.uri) as connection:
            connection.execute(
                f"UPDATE sessions SET {column} = {column} - %s WHERE member_id = %s",
                (by, person.id),
            )

    with psycopg.connect(site.twinlock.database.uri) as connection:
        row = connection.execute(
            "SELECT max(expires_at) FROM sessions WHERE member_id = %s", (person.id,)
        ).fetchone()
    assert row is not None
    assert row[0] - datetime.now(UTC) <= timedelta(hours=12)
    age("seen_at", timedelta(minutes=29))
    assert not signed_out(page)
    age("seen_at", timedelta(minutes=31))
    assert signed_out(page)
    let_in(site, page, person)
    assert not signed_out(page)
    age("expires_at", timedelta(hours=12))
    assert signed_out(page)
