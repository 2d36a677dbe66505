"""The login step: code, recovery code, lock, grace and forced set-up, and the way back to hosts."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from commands.put_workspace import PutWorkspace
from commands.set_policy import SetPolicy
from domain.member_mfa import MemberMFA
from tests.browser.conftest import Visitor
from tests.browser.support.entering import give_password, sign_in
from tests.browser.support.hosts import example_host, open_login, other_site, refused
from tests.browser.support.looking import assert_accessible, path_of
from tests.browser.support.mails import mail_about, mailed_code
from tests.browser.support.people import Person, a_person, a_workspace, oath_code
from tests.browser.support.site import Site
from tests.browser.support.walking import WAYS, enter, walker
from tests.browser.test_bind import a_wrong_code, now_code, secret_on

FORM = "main form button[type=submit]"


def a_host(site: Site, return_url: str, **policy: object) -> str:
    """A workspace whose host wants people back at this address."""
    place = a_workspace(site, name="Office")
    site.do(PutWorkspace(workspace_id=place, name="Office", return_urls=(return_url,)))
    if policy:
        site.do(SetPolicy(workspace_id=place, **policy))  # type: ignore[arg-type]
    return place


def at_the_code(site: Site, page: Page, person: Person) -> None:
    """Bring the person from a host to the login step."""
    page.goto(open_login(site, person)["page"])


@pytest.mark.parametrize("way", WAYS)
def test_from_the_host_and_back(site: Site, visitor: Visitor, way: str) -> None:
    """UX 14, 16, 23, 24: the login names the account, and ends at the address asked for."""
    goes = walker(visitor, way)
    page = goes.page
    with other_site() as host:
        person = a_person(site, a_host(site, f"{host}/back?from=twinlock"))
        opened = open_login(site, person, return_url=f"{host}/back?from=twinlock", state="s 1&")
        page.goto(opened["page"])
        assert page.url == f"{site.url}/login/"
        expect(page.locator(".account")).to_contain_text(person.name)
        expect(page.locator(".account")).to_contain_text("Office")
        goes.write("#code", person.code(), send=True)
        back = re.fullmatch(
            re.escape(f"{host}/back?from=twinlock&code=") + r"([\w-]{43})&state=s\+1%26", page.url
        )
        assert back, page.url
        path, body = "/v1/logins/exchange", {"code": back[1]}
        granted = site.call(path, token=site.host_token, body=body)
        assert (granted["member_id"], granted["login_id"]) == (person.id, opened["login_id"])
        assert granted["pass"]
        assert refused(site, path, body) == 403


def test_the_hand_over_works_once_and_is_never_logged(
    site: Site, page: Page, visitor: Visitor
) -> None:
    person = a_person(site, a_workspace(site))
    address = open_login(site, person)["page"]
    assert page.request.head(address, max_redirects=0).status == 303  # as a preview of links may
    page.goto(address)
    expect(page.locator("h1")).to_have_text("Enter your code")
    other = visitor()
    other.goto(address)
    expect(other.locator("h1")).to_have_text("This login has ended")
    assert address.partition("handover=")[2] not in site.log.read_text()


@pytest.mark.parametrize("way", WAYS)
def test_enforced_and_unbound_leads_into_the_steps(site: Site, visitor: Visitor, way: str) -> None:
    """UX 15: set-up inside the login, then in."""
    goes = walker(visitor, way)
    page = goes.page
    with other_site() as host:
        place = a_host(site, f"{host}/in", mode="enforced")
        person = a_person(site, place, bound=False)
        page.goto(open_login(site, person, return_url=f"{host}/in")["page"])
        assert path_of(page) == "/login/bind"
        goes.press(FORM)
        goes.write("#code", mailed_code(site, person.email), send=True)
        goes.write("#code", now_code(secret_on(page)), send=True)
        expect(page.locator("#codes li")).to_have_count(10)
        goes.tick("#saved")
        goes.press("#onwards")
        assert page.url.startswith(f"{host}/in?code=")
        granted = site.call(
            "/v1/logins/exchange", token=site.host_token, body={"code": page.url.split("=")[1]}
        )
        assert granted["member_id"] == person.id


@pytest.mark.parametrize("again", ["reload", "back", "address"])
def test_who_comes_back_to_the_recovery_codes_is_told_before_going_on(
    site: Site, page: Page, again: str
) -> None:
    """UX 3, 8, 16: nobody leaves for the host without having read it."""
    with other_site() as host:
        place = a_host(site, f"{host}/in", mode="enforced")
        person = a_person(site, place, bound=False)
        page.goto(open_login(site, person, return_url=f"{host}/in")["page"])
        page.click(FORM)
        enter(page, mailed_code(site, person.email))
        enter(page, now_code(secret_on(page)))
        expect(page.locator("#codes li")).to_have_count(10)
        match again:
            case "reload":
                page.reload()
            case "back":
                page.go_back()
            case _:
                page.goto("/login/bind/recovery-codes")
        assert path_of(page) == "/login/bind/recovery-codes"
        expect(page.locator("h1")).to_have_text("MFA is bound")
        expect(page.locator("main")).to_contain_text("make new ones in the security settings")
        assert_accessible(page)
        page.get_by_role("button", name="Continue").click()
        page.wait_for_url(f"{host}/in?code=*")


def test_who_is_bound_elsewhere_meanwhile_gives_a_code(site: Site, page: Page) -> None:
    person = a_person(site, a_workspace(site))
    at_the_code(site, page, person)
    page.goto("/login/bind/recovery-codes")
    assert path_of(page) == "/login/"
    expect(page.get_by_role("status")).to_have_text("An authenticator is bound already.")


def test_too_many_wrong_codes_in_the_set_up_say_until_when(site: Site, page: Page) -> None:
    """UX 7, 12."""
    person = a_person(site, a_workspace(site, enforced=True), bound=False)
    page.goto(open_login(site, person)["page"])
    page.click(FORM)
    enter(page, mailed_code(site, person.email))
    wrong = a_wrong_code(secret_on(page))
    for _ in range(5):
        enter(page, wrong)
    expect(page.locator("#code-wrong")).to_contain_text("Too many codes were refused")
    page.goto("/login/")
    expect(page.locator("h1")).to_have_text("Codes are locked for now")
    expect(page.locator("main")).to_contain_text("Then you can go on with setting up MFA.")


def test_the_example_host(site: Site, page: Page) -> None:
    """Forced set-up on the first visit, a code on the second; revocation shows at once."""
    with example_host(site) as host:
        page.goto(host)
        page.get_by_label("Member").select_option("shop-member")
        page.get_by_label("Password").fill("twinlock-demo")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("button", name="Send the code").click()
        enter(page, mailed_code(site, "shop-member@example.com"))
        secret = secret_on(page)
        enter(page, now_code(secret))
        page.check("#saved")
        page.click("#onwards")
        expect(page.locator("main")).to_contain_text("You are in as shop-member")
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("Member").select_option("shop-member")
        page.get_by_label("Password").fill("twinlock-demo")
        page.get_by_role("button", name="Sign in").click()
        enter(page, oath_code(secret, datetime.now(UTC) + timedelta(seconds=30)))
        expect(page.locator("main")).to_contain_text("You are in as shop-member")
        assert refused(site, "/v1/members/shop-member/sessions/revocation", {}) == 200
        page.reload()
        expect(page.locator("main")).not_to_contain_text("You are in")


def test_a_recovery_code_in_place_of_a_code(site: Site, page: Page) -> None:
    """UX 10, 14."""
    person = a_person(site, a_workspace(site))
    at_the_code(site, page, person)
    page.get_by_role("link", name="Use a recovery code").click()
    enter(page, f" {person.recovery_codes[0].replace('-', ' ').lower()} ")
    assert path_of(page) == "/settings"
    expect(page.locator("main")).to_contain_text("9 left")
    assert mail_about(site, person.email, "A recovery code was used")


def test_other_ways_stand_in_the_same_place(site: Site, page: Page) -> None:
    """UX 14: on the code, recovery and locked pages."""
    person = a_person(site, a_workspace(site))
    at_the_code(site, page, person)

    def ways() -> list[str]:
        return page.locator("nav.ways a").all_text_contents()

    assert ways() == ["Use a recovery code", "Lost your device? Unbind MFA"]
    page.goto("/login/recovery")
    assert ways()[1] == "Lost your device? Unbind MFA"
    page.goto("/login/")
    for _ in range(5):
        enter(page, person.wrong_code())
    assert ways() == ["Use a recovery code", "Lost your device? Unbind MFA"]


def test_a_refused_code_says_what_to_do_and_how_often_still(site: Site, page: Page) -> None:
    """UX 12, 13."""
    person = a_person(site, a_workspace(site))
    at_the_code(site, page, person)
    enter(page, person.wrong_code())
    said = page.locator("#code-wrong")
    expect(said).to_contain_text(
        "That code was not accepted. Check that your phone sets its time automatically, then"
        " enter the newest code. You have 4 tries left."
    )
    expect(page.locator("#code")).to_be_focused()
    expect(page.locator("#code")).to_have_value("")
    assert page.title().startswith("Error: ")


def test_a_lock_says_until_when_in_local_time_and_what_still_works(
    site: Site, page: Page, visitor: Visitor
) -> None:
    """UX 12."""
    person = a_person(site, a_workspace(site))
    at_the_code(site, page, person)
    for _ in range(5):
        enter(page, person.wrong_code())
    expect(page.locator("h1")).to_have_text("Codes are locked for now")
    until = site.twinlock.store.load(MemberMFA, person.id).lock
    assert until is not None
    local = until.astimezone(datetime.now(UTC).tzinfo) + _berlin(until)
    expect(page.locator("time").first).to_contain_text(local.strftime("%H:%M"))
    assert_accessible(page)
    plain = visitor(scripts=False)
    at_the_code(site, plain, person)
    expect(plain.locator("time").first).to_contain_text(until.strftime("%H:%M UTC"))
    page.get_by_role("link", name="Use a recovery code").click()
    enter(page, person.recovery_codes[0])
    assert path_of(page) == "/settings"


def _berlin(at: datetime) -> timedelta:
    """The offset of the browser's time zone."""
    from zoneinfo import ZoneInfo

    return at.astimezone(ZoneInfo("Europe/Berlin")).utcoffset() or timedelta()


def test_in_grace_people_are_told_and_may_skip(site: Site, page: Page) -> None:
    """UX 15."""
    until = datetime.now(UTC) + timedelta(days=2, hours=3)
    with other_site() as host:
        place = a_host(site, f"{host}/in", mode="enforced", grace_until=until)
        person = a_person(site, place, bound=False)
        page.goto(open_login(site, person, return_url=f"{host}/in")["page"])
        expect(page.locator(".banner")).to_contain_text("2 days left")
        assert_accessible(page)
        page.get_by_role("button", name="Skip for now").click()
        page.wait_for_url(f"{host}/in?code=*")
        page.goto(open_login(site, person, return_url=f"{host}/in")["page"])
        page.get_by_role("link", name="Set it up now").click()
        page.click(FORM)
        enter(page, mailed_code(site, person.email))
        enter(page, now_code(secret_on(page)))
        page.check("#saved")
        page.click("#onwards")
        page.wait_for_url(f"{host}/in?code=*")
    assert site.twinlock.store.load(MemberMFA, person.id).bound


def test_the_last_day_of_grace_is_no_whole_day(site: Site, page: Page) -> None:
    """UX 15."""
    place = a_workspace(site)
    until = datetime.now(UTC) + timedelta(hours=1)
    site.do(SetPolicy(workspace_id=place, mode="enforced", grace_until=until))
    at_the_code(site, page, a_person(site, place, bound=False))
    expect(page.locator(".banner")).to_contain_text("Less than a day left")


def test_a_login_without_return_address_opens_the_settings(site: Site, page: Page) -> None:
    person = a_person(site, a_workspace(site))
    at_the_code(site, page, person)
    enter(page, person.code())
    assert path_of(page) == "/settings"


def test_the_demonstration_realm(site: Site, page: Page) -> None:
    person = a_person(site, a_workspace(site))
    give_password(site, person)
    page.goto("/sign-in")
    page.fill("#name", person.email.upper())
    enter(page, "not this one", "#password")
    expect(page.locator("#password-wrong")).to_contain_text("do not belong together")
    page.goto("/sign-in")
    sign_in(site, page, person, "/settings/mfa/unbind")
    assert path_of(page) == "/settings/mfa/unbind"


def test_a_double_submit_of_a_code_makes_one_event(site: Site, page: Page) -> None:
    """UX 13."""
    person = a_person(site, a_workspace(site))
    at_the_code(site, page, person)
    page.fill("#code", person.code())
    page.locator(FORM).first.dblclick(no_wait_after=True)
    page.wait_for_url("**/settings")
    member = site.twinlock.store.load(MemberMFA, person.id)
    assert len(member.granted) == 1
    assert member.failures == 0


@pytest.mark.parametrize("kept", [True, False])
def test_a_code_sent_again_is_not_said_to_be_without_effect(
    site: Site, page: Page, kept: bool
) -> None:
    """UX 13, 26: whether or not the cookie of the first answer arrived."""
    with other_site() as host:
        person = a_person(site, a_host(site, f"{host}/in"))
        page.goto(open_login(site, person, return_url=f"{host}/in")["page"])
        before = page.context.cookies()
        csrf = page.input_value("main [name=csrf]")
        enter(page, person.code())
        page.wait_for_url(f"{host}/in?code=*")
        if not kept:
            page.context.add_cookies(before)  # type: ignore[arg-type]
        ours = {"Sec-Fetch-Site": "same-origin"}
        sent = {"csrf": csrf, "code": "123456"}
        answer = page.request.post("/login/code", form={**sent}, headers=ours)
        assert answer.status == (409 if kept else 401)
        assert "it may have been carried out already" in answer.text()
        assert "Go back to the application and log in again." in answer.text()
        assert "Back to the login" not in answer.text()
