"""What people do besides the straight way: ask twice, change the language, come back late."""

from dataclasses import replace

import pytest
from playwright.sync_api import Page, expect

from commands.revoke_sessions import RevokeSessions
from commands.secrets import Proof
from commands.unbind_mfa import UnbindMFA
from tests.browser.conftest import Visitor
from tests.browser.support.entering import let_in
from tests.browser.support.hosts import open_login
from tests.browser.support.looking import path_of
from tests.browser.support.mails import mailed_code, mails_with_codes
from tests.browser.support.people import Person, a_person, a_workspace
from tests.browser.support.site import Site
from tests.browser.support.walking import enter

LOST = "text=Lost your device? Unbind MFA"
ANOTHER = "Send another code"
RECOVERY = "text=Use a recovery code"


def at_the_form(site: Site, page: Page, person: Person, *, proven: bool) -> None:
    """The ticket form with a code on its way."""
    page.goto(open_login(site, person)["page"] if proven else "/tickets/new")
    if proven:
        page.click(LOST)
    else:
        page.fill("#email", person.email)
    page.fill("#description", "Lost.")
    page.click("text=Mail me a code")


@pytest.mark.parametrize("proven", [True, False], ids=["in a login", "without one"])
def test_who_asks_for_another_code_too_soon_keeps_the_first(
    site: Site, visitor: Visitor, proven: bool
) -> None:
    """UX 12, 18: no mail goes out, and the page does not say that one did."""
    page, person = visitor(scripts=False), a_person(site, a_workspace(site))
    at_the_form(site, page, person, proven=proven)
    code = mailed_code(site, person.email)
    page.get_by_role("button", name=ANOTHER).click()
    expect(page.get_by_role("alert")).to_contain_text("Try again in one minute.")
    assert mails_with_codes(site, person.email) == 1
    enter(page, code)
    expect(page.get_by_role("status")).to_have_text("Your request is filed.")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_who_mistyped_the_address_asks_for_the_right_one_at_once(
    site: Site, visitor: Visitor, scripts: bool
) -> None:
    """UX 18: the wait is for the address that was asked for, however it is spelt, and no other."""
    page, person = visitor(scripts=scripts), a_person(site, a_workspace(site))
    mistyped = replace(person, email=f"x{person.email}")
    at_the_form(site, page, mistyped, proven=False)
    page.fill("#email", person.email)
    page.get_by_role("button", name=ANOTHER).click()
    code = mailed_code(site, person.email)
    page.fill("#email", person.email.upper())
    if not scripts:
        page.get_by_role("button", name=ANOTHER).click()
        expect(page.get_by_role("alert")).to_contain_text("Try again in one minute.")
    enter(page, code)
    expect(page.get_by_role("status")).to_have_text("Your request is filed.")
    assert (mails_with_codes(site, mistyped.email), mails_with_codes(site, person.email)) == (0, 1)


def test_another_code_is_offered_after_a_minute(site: Site, page: Page) -> None:
    """UX 2: the button counts down, as it does where an authenticator is bound."""
    at_the_form(site, page, a_person(site, a_workspace(site)), proven=True)
    another = page.get_by_role("button", name=ANOTHER)
    expect(another).to_be_disabled()
    expect(another).to_contain_text("s)")


def test_a_mailed_code_has_tries_that_are_told(site: Site, page: Page) -> None:
    """UX 12: in a login; the last one says that another code is needed."""
    at_the_form(site, page, a_person(site, a_workspace(site)), proven=True)
    enter(page, "AAAAAAAA")
    expect(page.locator("#code-wrong")).to_contain_text("You have 4 tries left.")
    for _ in range(4):
        enter(page, "AAAAAAAA")
    expect(page.locator("#code-wrong")).to_contain_text("Have another one sent.")


@pytest.mark.parametrize(
    ("link", "given"),
    [(None, "123456"), (RECOVERY, "AAAA-AAAA-AAAA-AAAA")],
    ids=["code", "recovery code"],
)
def test_who_unbound_in_another_tab_binds_anew(
    site: Site, page: Page, link: str | None, given: str
) -> None:
    """UX 15, 26: the code page is still open, and what is due now is something else."""
    person = a_person(site, a_workspace(site, enforced=True))
    page.goto(open_login(site, person)["page"])
    if link:
        page.click(link)
    proof = Proof(recovery_code=person.recovery_codes[0])
    site.do(UnbindMFA(member_id=person.id, workspace_id=person.workspace_id, proof=proof))
    enter(page, given)
    assert path_of(page) == "/login/bind"


def test_the_address_of_a_form_leads_to_its_page(site: Site, page: Page) -> None:
    """UX 3: also where the address bar or the language switch asks for it."""
    person = a_person(site, a_workspace(site))
    page.goto(open_login(site, person)["page"])
    enter(page, person.wrong_code())
    assert path_of(page) == "/login/code"
    page.get_by_role("link", name="简体中文").click()
    assert path_of(page) == "/login/"
    expect(page.locator("#code")).to_be_visible()
    for form, there in (
        ("/tickets/new/code", "/tickets/new"),
        ("/login/ticket/code", "/login/ticket"),
    ):
        page.goto(form)
        assert path_of(page) == there


def test_what_is_shown_once_offers_no_way_that_loses_it(site: Site, page: Page) -> None:
    """UX 8: neither another language nor the menu."""
    person = a_person(site, a_workspace(site))
    let_in(site, page, person, "/settings/mfa/recovery-codes")
    expect(page.get_by_role("navigation", name="Language")).to_be_visible()
    enter(page, person.code())
    expect(page.locator("#codes li")).to_have_count(10)
    expect(page.get_by_role("navigation")).to_have_count(0)
    expect(page.locator("main")).to_contain_text("Twinlock · m***@example.com")


def test_a_form_opened_after_the_session_was_ended_can_be_sent(site: Site, page: Page) -> None:
    person = a_person(site, a_workspace(site))
    let_in(site, page, person, "/settings")
    site.do(RevokeSessions(member_id=person.id))
    page.goto("/tickets/new")
    page.fill("#email", person.email)
    page.fill("#description", "Lost.")
    page.click("text=Mail me a code")
    expect(page.locator("#code")).to_be_visible()


def test_a_refused_recovery_code_is_not_blamed_on_the_phone(site: Site, page: Page) -> None:
    """UX 12: its own words, and after five in an hour the way that is left."""
    person = a_person(site, a_workspace(site))
    page.goto(open_login(site, person)["page"])
    page.click(RECOVERY)
    wrong = "AAAA-AAAA-AAAA-AAAA"
    enter(page, wrong)
    expect(page.locator("#code-wrong")).to_contain_text("That recovery code was not accepted.")
    expect(page.locator("#code-wrong")).to_contain_text("You have 4 tries left.")
    expect(page.locator("#code-wrong")).not_to_contain_text("phone")
    for _ in range(10):
        enter(page, wrong)
    expect(page.locator("#code-wrong")).to_contain_text("Too many recovery codes were refused")
    expect(page.locator("#code-wrong")).not_to_contain_text("A recovery code still works")


def test_the_key_is_typed_in_under_the_name_that_the_picture_has(site: Site, page: Page) -> None:
    """UX 5."""
    person = a_person(site, a_workspace(site), bound=False)
    let_in(site, page, person, "/settings/mfa/bind")
    page.get_by_role("button", name="Send the code").click()
    enter(page, mailed_code(site, person.email))
    page.click("text=Can't scan?")
    expect(page.locator("dl.facts")).to_contain_text(person.email)
