"""The ticket form: inside a login and open to anybody, its status page and the ways to cancel."""

import re

import pytest
from playwright.sync_api import Page, expect

from domain.member_mfa import MemberMFA
from domain.unbind_ticket import UnbindTicket
from tests.browser.conftest import Visitor
from tests.browser.support.entering import let_in
from tests.browser.support.hosts import open_login
from tests.browser.support.looking import path_of
from tests.browser.support.mails import mail_about, mailed_code, mailed_link
from tests.browser.support.people import Person, a_person, a_workspace
from tests.browser.support.site import Site
from tests.browser.support.walking import WAYS, Walker, enter, walker

FORM = "main form button[type=submit]"
LOST = "a[href='/login/ticket']"


def ticket_of(site: Site, person: Person) -> UnbindTicket:
    member = site.twinlock.store.load(MemberMFA, person.id)
    assert member.open_ticket
    return site.twinlock.store.load(UnbindTicket, member.open_ticket)


def file(site: Site, goes: Walker, person: Person) -> None:
    """From the form to the ticket's page."""
    goes.write("#description", "It fell into the lake.")
    goes.press(FORM)
    goes.write("#code", mailed_code(site, person.email).lower(), send=True)


@pytest.mark.parametrize("way", WAYS)
def test_from_the_login(site: Site, visitor: Visitor, way: str) -> None:
    """UX 14, 18, 23, 24: the first factor is proven, so one approval is enough."""
    goes = walker(visitor, way)
    person = a_person(site, a_workspace(site))
    goes.page.goto(open_login(site, person)["page"])
    goes.press(LOST)
    file(site, goes, person)
    ticket = ticket_of(site, person)
    assert path_of(goes.page) == f"/tickets/{ticket.id}"
    assert (ticket.first_factor_proven, ticket.approvals_needed) == (True, 1)
    expect(goes.page.locator("main")).to_contain_text(ticket.id)
    goes.look()


@pytest.mark.parametrize("way", WAYS)
def test_with_nothing_but_the_mailbox(site: Site, visitor: Visitor, way: str) -> None:
    """UX 18."""
    goes = walker(visitor, way)
    person = a_person(site, a_workspace(site))
    goes.page.goto("/tickets/new")
    goes.write("#email", person.email)
    file(site, goes, person)
    ticket = ticket_of(site, person)
    assert (ticket.first_factor_proven, ticket.approvals_needed) == (False, 2)
    expect(goes.page.locator("main")).to_contain_text(ticket.id)


def test_the_form_has_its_type_and_says_what_happens_next(site: Site, page: Page) -> None:
    """UX 18."""
    person = a_person(site, a_workspace(site))
    page.goto(open_login(site, person)["page"])
    page.click(LOST)
    expect(page.get_by_label("Type")).to_have_value("unbind_mfa")
    page.fill("#title", "")
    page.click(FORM)
    expect(page.locator("#title-wrong")).to_contain_text("Give it a title")
    expect(page.locator("#description-wrong")).to_contain_text("Describe what happened")
    page.fill("#title", "Lost phone")
    file(site, Walker(page), person)
    expect(page.locator(".state")).to_have_text("Waiting for assignment")
    expect(page.locator("main")).to_contain_text("What happens next")
    mail = mail_about(site, person.email, "This wasn't me: cancel")
    assert f"/tickets/{ticket_of(site, person).id}/cancel?token=" in mail


def test_strangers_see_the_same_page(site: Site, page: Page) -> None:
    person = a_person(site, a_workspace(site))
    shown = []
    for email in (person.email, "nobody-at-all@example.com"):
        page.goto("/tickets/new")
        page.fill("#email", email)
        page.fill("#description", "Lost.")
        page.click(FORM)
        expect(page.locator("#code")).to_be_visible()
        shown.append(re.sub(r"\(\d+.s\)", "", page.locator("main").inner_text()))
        enter(page, "ABCD-EFGH")
        shown.append(re.sub(r"\(\d+.s\)", "", page.locator("main").inner_text()))
    assert shown[:2] == shown[2:]


def test_a_wrong_mailed_code_keeps_what_was_written(site: Site, page: Page) -> None:
    """UX 11, 12."""
    person = a_person(site, a_workspace(site))
    page.goto(open_login(site, person)["page"])
    page.click(LOST)
    page.fill("#description", "It fell into the lake.")
    page.click(FORM)
    enter(page, "short")
    expect(page.locator("#code-wrong")).to_contain_text("too short: 8 are needed")
    enter(page, "AAAAAAAA")
    expect(page.locator("#code-wrong")).to_contain_text("That code was not accepted.")
    expect(page.locator("#description")).to_have_value("It fell into the lake.")
    enter(page, mailed_code(site, person.email))
    expect(page.get_by_role("status")).to_have_text("Your request is filed.")


def test_cancel_on_the_page(site: Site, page: Page) -> None:
    person = a_person(site, a_workspace(site))
    page.goto(open_login(site, person)["page"])
    page.click(LOST)
    file(site, Walker(page), person)
    page.get_by_role("button", name="Cancel the request").click()
    expect(page.locator(".state")).to_have_text("Cancelled")
    assert site.twinlock.store.load(MemberMFA, person.id).open_ticket is None


def test_cancel_by_the_mailed_link(site: Site, page: Page, visitor: Visitor) -> None:
    """UX 18: looking changes nothing, the button does, and once."""
    person = a_person(site, a_workspace(site))
    page.goto(open_login(site, person)["page"])
    page.click(LOST)
    file(site, Walker(page), person)
    ticket = ticket_of(site, person)
    mail_about(site, person.email, "This wasn't me: cancel")
    other = visitor()
    other.goto(mailed_link(site, person.email))
    assert ticket_of(site, person).status == "submitted"
    other.get_by_role("button", name="Cancel the request").click()
    expect(other.locator("h1")).to_have_text("The request is cancelled")
    assert site.twinlock.store.load(UnbindTicket, ticket.id).status == "cancelled"


def test_the_settings_show_that_unbinding_is_requested(
    site: Site, page: Page, visitor: Visitor
) -> None:
    """UX 1."""
    person = a_person(site, a_workspace(site))
    page.goto(open_login(site, person)["page"])
    page.click(LOST)
    file(site, Walker(page), person)
    own = let_in(site, visitor(), person, "/settings")
    expect(own.locator("#mfa-state")).to_have_text("Unbinding requested")
    own.get_by_role("link", name="See the request").click()
    assert path_of(own) == f"/tickets/{ticket_of(site, person).id}"
    other = a_person(site, person.workspace_id)
    stranger = let_in(site, visitor(), other, path_of(own))
    expect(stranger.locator("h1")).to_have_text("Nothing here")
