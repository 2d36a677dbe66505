"""Binding an authenticator from the settings: every step, and what each of them must not do."""

import re
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Response, expect

from commands.send_bind_code import SendBindCode
from commands.start_enrolment import StartEnrolment
from domain.member_mfa import MemberMFA
from tests.browser.conftest import Visitor
from tests.browser.support.entering import let_in
from tests.browser.support.looking import path_of, read_qr
from tests.browser.support.mails import mail_about, mailed_code
from tests.browser.support.people import Person, a_person, a_workspace, oath_code
from tests.browser.support.site import Site
from tests.browser.support.walking import WAYS, enter, walker

SEND = "main form button[type=submit]"
SCAN = "/settings/mfa/bind/scan"
AFTER = "/settings/mfa/bind/recovery-codes"


def begin(site: Site, page: Page) -> Person:
    """Somebody who is on the page with the QR code."""
    person = a_person(site, a_workspace(site), bound=False)
    let_in(site, page, person, "/settings/mfa/bind")
    page.click(SEND)
    enter(page, mailed_code(site, person.email))
    page.wait_for_url(f"**{SCAN}")
    return person


def secret_on(page: Page) -> str:
    """The secret that a camera would read off the screen."""
    return parse_qs(urlsplit(read_qr(page.locator(".qr svg"))).query)["secret"][0]


def now_code(secret: str) -> str:
    return oath_code(secret, datetime.now(UTC))


def a_wrong_code(secret: str) -> str:
    return next(c for c in ("000000", "111111") if c != now_code(secret))


@pytest.mark.parametrize("way", WAYS)
def test_bind_from_the_settings(site: Site, visitor: Visitor, way: str) -> None:
    """UX 1, 2, 3, 7, 8, 13, 23, 24."""
    goes = walker(visitor, way)
    page = goes.page
    person = a_person(site, a_workspace(site), bound=False)
    let_in(site, page, person, "/settings")
    state = page.locator("#mfa-state")
    expect(state).to_have_text("未绑定" if way == "chinese" else "Not bound")
    goes.press("main a.button")
    expect(page.locator("main")).to_contain_text("m***@example.com")
    goes.press(SEND)
    goes.write("#code", mailed_code(site, person.email), send=True)
    assert path_of(page) == SCAN
    secret = secret_on(page)
    goes.write("#code", now_code(secret), send=True)
    assert path_of(page) == "/settings/mfa/bind/recovery-codes"
    expect(page.locator("h1")).to_have_text("MFA 已绑定" if way == "chinese" else "MFA is bound")
    expect(page.locator("#codes li")).to_have_count(10)
    goes.tick("#saved")
    goes.press("#onwards")
    assert path_of(page) == "/settings"
    expect(state).to_have_text("已绑定" if way == "chinese" else "Bound")
    expect(page.locator("dd time").first).to_be_visible()
    assert mail_about(site, person.email, "MFA is bound")
    assert site.twinlock.store.load(MemberMFA, person.id).bound


def test_steps_are_numbered_and_have_their_own_address(site: Site, page: Page) -> None:
    """UX 3."""
    begin(site, page)
    expect(page.locator(".steps")).to_have_text("Step 2 of 3")
    secret = secret_on(page)
    page.reload()
    assert secret_on(page) == secret
    page.go_back()
    assert path_of(page) == "/settings/mfa/bind"
    expect(page.locator(".steps")).to_have_text("Step 1 of 3")
    page.go_forward()
    assert secret_on(page) == secret


def test_a_set_up_that_another_one_replaced_says_so(site: Site, page: Page) -> None:
    """UX 3: it need not have taken ten minutes."""
    person = begin(site, page)
    later = datetime.now(UTC) + timedelta(seconds=61)
    site.do(SendBindCode(member_id=person.id), at=later)
    mailed = mailed_code(site, person.email, after=1)
    site.do(StartEnrolment(member_id=person.id, email_code=mailed), at=later)
    page.reload()
    assert path_of(page) == "/settings/mfa/bind"
    expect(page.get_by_role("status")).to_contain_text("or was begun anew elsewhere")


@pytest.mark.parametrize("dark", [False, True])
def test_the_picture_is_dark_on_white_and_has_a_name(
    site: Site, visitor: Visitor, dark: bool
) -> None:
    """UX 4."""
    page = visitor(dark=dark, narrow=dark)
    begin(site, page)
    picture = page.get_by_role("img", name="QR code for your authenticator app")
    box = picture.bounding_box()
    assert box is not None
    assert min(box["width"], box["height"]) >= 200
    modules = int(str(picture.get_attribute("viewBox")).split()[2])
    drawn = picture.locator("path.qrline").get_attribute("d") or ""
    assert drawn.startswith("M4 4.5"), "a quiet zone of four modules"
    assert (modules - 8 - 17) % 4 == 0
    assert read_qr(picture).startswith("otpauth://totp/")


def test_the_key_can_be_typed_and_opened(site: Site, page: Page) -> None:
    """UX 5."""
    begin(site, page)
    secret = secret_on(page)
    page.get_by_text("Can't scan?").click()
    groups = page.locator("#key span").all_text_contents()
    assert groups == [secret[i : i + 4] for i in range(0, len(secret), 4)]
    expect(page.locator("dl.facts")).to_contain_text("SHA-1")
    for word in ("TOTP", "6", "30 seconds"):
        expect(page.locator("dl.facts")).to_contain_text(word)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy the key").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == secret
    link = page.get_by_role("link", name="Open in authenticator app")
    assert str(link.get_attribute("href")) == read_qr(page)


def test_the_secret_is_nowhere_else(site: Site, page: Page) -> None:
    """UX 6."""
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))
    begin(site, page)
    secret = secret_on(page)
    enter(page, now_code(secret))
    page.wait_for_url("**/recovery-codes")
    for path in ("/settings", "/settings/mfa/bind", SCAN, "/settings/mfa/unbind"):
        page.goto(path)
        assert secret not in page.content()
    assert not [answer.url for answer in answers if secret in answer.url]
    stored = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
    assert secret not in page.evaluate(stored)
    shown = [answer for answer in answers if answer.url.endswith("/scan") and answer.status == 200]
    assert shown
    for answer in shown:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"


def test_another_browser_of_the_member_never_sees_the_secret(
    site: Site, page: Page, visitor: Visitor
) -> None:
    person = begin(site, page)
    other = visitor()
    let_in(site, other, person, SCAN)
    assert path_of(other) == "/settings/mfa/bind"


@pytest.mark.parametrize("scripts", [True, False])
def test_a_wrong_code_keeps_the_picture_and_the_focus(
    site: Site, visitor: Visitor, scripts: bool
) -> None:
    """UX 7, 12."""
    page = visitor(scripts=scripts)
    person = begin(site, page)
    secret = secret_on(page)
    enter(page, a_wrong_code(secret))
    expect(page.locator("#code-wrong")).to_contain_text("That code was not accepted. Check that")
    expect(page.locator("#code-wrong")).to_contain_text("You have 4 tries left.")
    expect(page.locator("#code")).to_be_focused()
    assert secret_on(page) == secret
    assert not site.twinlock.store.load(MemberMFA, person.id).bound


def test_recovery_codes_are_shown_once_and_kept_by_the_reader(site: Site, page: Page) -> None:
    """UX 8."""
    begin(site, page)
    enter(page, now_code(secret_on(page)))
    codes = page.locator("#codes li").all_text_contents()
    assert len(set(codes)) == 10
    expect(page.locator("#onwards")).to_be_disabled()
    page.get_by_label("I have saved these codes").check()
    expect(page.locator("#onwards")).to_be_enabled()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert all(code in download.value.path().read_text() for code in codes)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert codes[9] in page.evaluate("navigator.clipboard.readText()")
    page.evaluate("window.print = () => { document.title = 'printed' }")
    page.get_by_role("button", name="Print").click()
    expect(page).to_have_title("printed")
    for path in ("/recovery-codes", "/scan", ""):
        page.goto(f"/settings/mfa/bind{path}")
        assert path_of(page) == AFTER
        expect(page.locator("main")).to_contain_text("were shown once, and are not shown again")
        assert codes[0] not in page.content()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_reload_says_that_the_codes_were_shown(
    site: Site, visitor: Visitor, scripts: bool
) -> None:
    """UX 8, 13."""
    page = visitor(scripts=scripts)
    person = begin(site, page)
    enter(page, now_code(secret_on(page)))
    expect(page.locator("#codes li")).to_have_count(10)
    version = site.twinlock.store.load(MemberMFA, person.id).version
    page.reload()
    assert path_of(page) == AFTER
    expect(page.locator("h1")).to_have_text("MFA is bound")
    expect(page.locator("main")).to_contain_text("make new ones in the security settings")
    page.reload()
    page.get_by_role("link", name="Security settings").last.click()
    expect(page.locator("#mfa-state")).to_have_text("Bound")
    assert site.twinlock.store.load(MemberMFA, person.id).version == version


def test_without_scripts_the_box_is_asked_for_by_the_browser(site: Site, visitor: Visitor) -> None:
    """UX 8."""
    page = visitor(scripts=False)
    begin(site, page)
    enter(page, now_code(secret_on(page)))
    page.click("#onwards")
    assert path_of(page) == "/settings/mfa/bind/recovery-codes"
    page.check("#saved")
    page.click("#onwards")
    assert path_of(page) == "/settings"


def test_another_mailed_code_is_offered_after_a_minute(
    site: Site, page: Page, visitor: Visitor
) -> None:
    """UX 2."""
    person = a_person(site, a_workspace(site), bound=False)
    let_in(site, page, person, "/settings/mfa/bind")
    page.click(SEND)
    expect(page.locator("main")).to_contain_text("It is valid for ten minutes, until")
    expect(page.locator("[data-resend]")).to_be_disabled()
    expect(page.locator("[data-resend]")).to_contain_text("s)")
    plain = visitor(scripts=False)
    let_in(site, plain, person, "/settings/mfa/bind")
    plain.click("[data-resend]")
    expect(plain.locator("#summary")).to_contain_text("That was too often.")
    expect(plain.locator("#code")).to_be_visible()


@pytest.mark.parametrize("typed", ["{0} {1}", "{0}-{1}", "\u3000{0}{1} ", "full-width"])
def test_what_people_paste_is_forgiven(site: Site, page: Page, typed: str) -> None:
    """UX 9, 10."""
    begin(site, page)
    field = page.get_by_label("Code that the app shows")
    for name, value in (
        ("type", "text"),
        ("inputmode", "numeric"),
        ("autocomplete", "one-time-code"),
    ):
        assert field.get_attribute(name) == value
    code = now_code(secret_on(page))
    wide = code.translate({ord(str(d)): 0xFF10 + d for d in range(10)})
    text = wide if typed == "full-width" else typed.format(code[:3], code[3:])
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate("text => navigator.clipboard.writeText(text)", text)
    field.focus()
    page.keyboard.press("Control+V")
    page.keyboard.press("Enter")
    page.wait_for_url("**/recovery-codes")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "the field is empty"),
        ("123", "too short: 6 are needed, you entered 3"),
        ("12a456", "A code has digits only"),
        ("1234567", "too long: 6 are needed, you entered 7"),
    ],
)
def test_what_is_no_code_is_said_at_the_field(
    site: Site, page: Page, typed: str, said: str
) -> None:
    """UX 11."""
    person = begin(site, page)
    enter(page, typed)
    field = page.locator("#code")
    expect(field).to_have_attribute("aria-invalid", "true")
    described = str(field.get_attribute("aria-describedby")).split()
    assert "code-wrong" in described
    expect(page.locator("#code-wrong")).to_contain_text(said)
    expect(page.get_by_role("alert")).to_contain_text(said)
    assert page.title().startswith("Error: ")
    assert site.twinlock.store.load(MemberMFA, person.id).failures == 0


def test_a_double_submit_makes_one_event(site: Site, visitor: Visitor) -> None:
    """UX 13."""
    page = visitor(scripts=False)
    person = begin(site, page)
    page.fill("#code", now_code(secret_on(page)))
    page.locator("main button[type=submit]").dblclick(no_wait_after=True)
    page.wait_for_timeout(1000)
    expect(page.locator("h1")).to_have_text(re.compile("MFA is bound|You are signed out"))
    expect(page.locator("main")).to_contain_text(re.compile("shown this once|shown once|already"))
    member = site.twinlock.store.load(MemberMFA, person.id)
    assert member.bound
    assert member.epoch == 1
