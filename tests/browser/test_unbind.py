"""Taking the authenticator off in the settings, and making new recovery codes."""

import pytest
from playwright.sync_api import Page, expect

from commands.set_policy import SetPolicy
from domain.facts import Actor
from domain.lockout import CAP
from domain.member_facts import CodeRejected
from domain.member_mfa import MemberMFA
from tests.browser.conftest import Visitor
from tests.browser.support.entering import let_in
from tests.browser.support.looking import path_of
from tests.browser.support.mails import mail_about
from tests.browser.support.people import a_person, a_workspace
from tests.browser.support.site import Site
from tests.browser.support.walking import WAYS, enter, walker

UNBIND = "/settings/mfa/unbind"


@pytest.mark.parametrize("way", WAYS)
def test_unbind_with_a_code(site: Site, visitor: Visitor, way: str) -> None:
    """UX 1, 17, 23, 24."""
    goes = walker(visitor, way)
    page = goes.page
    person = a_person(site, a_workspace(site))
    let_in(site, page, person, "/settings")
    goes.press("main .actions a >> nth=0" if way != "keyboard" else f"main a[href='{UNBIND}']")
    expect(page.locator("main li")).to_have_count(6)
    goes.write("#code", person.code())
    goes.tick("#understood")
    goes.press("button.danger")
    assert path_of(page) == "/settings"
    expect(page.locator("#mfa-state")).to_have_text("未绑定" if way == "chinese" else "Not bound")
    goes.look()
    assert not site.twinlock.store.load(MemberMFA, person.id).bound
    assert mail_about(site, person.email, "MFA was unbound")


def test_the_consequences_are_named_and_have_to_be_accepted(site: Site, page: Page) -> None:
    """UX 17."""
    person = a_person(site, a_workspace(site))
    let_in(site, page, person, UNBIND)
    for consequence in (
        "A password alone opens your account again.",
        "Every other session of yours ends at once.",
        "Your recovery codes become void.",
        "Workspaces that enforce MFA let you in only after binding again.",
    ):
        expect(page.locator("main ul").first).to_contain_text(consequence)
    enter(page, person.code())
    expect(page.get_by_role("alert")).to_contain_text("Tick that you understand")
    assert site.twinlock.store.load(MemberMFA, person.id).bound


def test_who_could_not_bind_again_for_long_is_told_before(site: Site, page: Page) -> None:
    """UX 17: under the cap a recovery code opens, and no new authenticator is bound."""
    person = a_person(site, a_workspace(site))
    let_in(site, page, person, UNBIND)
    expect(page.locator("main ul").first.locator("li")).to_have_count(4)
    member = site.twinlock.store.load(MemberMFA, person.id)
    wrong = CodeRejected(purpose="login", reason="wrong", login_id=None)
    context = site.twinlock.context(Actor("member", person.id), "test")
    site.twinlock.store.append(context, (member, [wrong] * CAP))
    page.reload()
    told = page.locator("main ul").first.locator("li").last
    expect(told).to_contain_text("you can bind again only from")
    expect(told.locator("time")).to_have_count(1)


def test_unbind_with_a_recovery_code(site: Site, page: Page) -> None:
    """UX 17."""
    person = a_person(site, a_workspace(site))
    let_in(site, page, person, UNBIND)
    page.get_by_role("link", name="Use a recovery code").click()
    page.fill("#code", person.recovery_codes[3])
    page.check("#understood")
    page.click("button.danger")
    expect(page.get_by_role("status")).to_have_text("MFA is unbound.")


def test_a_wrong_code_changes_nothing(site: Site, page: Page) -> None:
    """UX 12."""
    person = a_person(site, a_workspace(site))
    let_in(site, page, person, UNBIND)
    page.fill("#code", person.wrong_code())
    page.check("#understood")
    page.click("button.danger")
    expect(page.locator("#code-wrong")).to_contain_text("You have 4 tries left.")
    expect(page.locator("#understood")).to_be_checked()
    assert site.twinlock.store.load(MemberMFA, person.id).bound


def test_where_mfa_is_enforced_unbinding_ends_the_session(site: Site, page: Page) -> None:
    """UX 15, 17: the next login asks to bind again."""
    place = a_workspace(site)
    person = a_person(site, place)
    let_in(site, page, person, UNBIND)
    site.do(SetPolicy(workspace_id=place, mode="enforced"))
    page.fill("#code", person.code())
    page.check("#understood")
    page.click("button.danger")
    expect(page.get_by_role("status")).to_contain_text("log in again to set it up anew")
    page.goto("/settings")
    assert path_of(page) == "/sign-in"


def test_back_after_unbinding_shows_nothing_of_before(site: Site, page: Page) -> None:
    """UX 17: neither the form nor its code can be used again."""
    person = a_person(site, a_workspace(site))
    let_in(site, page, person, "/settings")
    page.goto(UNBIND)
    page.fill("#code", person.code())
    page.check("#understood")
    page.click("button.danger")
    page.wait_for_url("**/settings")
    version = site.twinlock.store.load(MemberMFA, person.id).version
    page.go_back()
    expect(page.locator("button.danger")).to_have_count(0)
    expect(page.locator("#mfa-state")).to_have_text("Not bound")
    assert site.twinlock.store.load(MemberMFA, person.id).version == version


def test_new_recovery_codes_void_the_older_ones(site: Site, page: Page) -> None:
    """UX 8."""
    person = a_person(site, a_workspace(site))
    let_in(site, page, person, "/settings")
    page.get_by_role("link", name="New recovery codes").click()
    enter(page, person.code())
    codes = page.locator("#codes li").all_text_contents()
    assert len(set(codes)) == 10
    assert not set(codes) & set(person.recovery_codes)
    page.reload()
    expect(page.get_by_role("status")).to_contain_text("New recovery codes were made already.")
    expect(page.locator("#summary")).to_have_count(0)
    page.goto("/settings/mfa/recovery-codes")
    enter(page, person.code())
    assert not set(codes) & set(page.locator("#codes li").all_text_contents())
    page.check("#saved")
    page.click("#onwards")
    assert path_of(page) == "/settings"
    assert mail_about(site, person.email, "New recovery codes were made")
