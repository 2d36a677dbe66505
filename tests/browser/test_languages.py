"""English and Simplified Chinese: by the browser or by a switch, with nothing left (UX 24)."""

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import Visitor
from tests.browser.support.entering import let_in
from tests.browser.support.looking import screenshot
from tests.browser.support.people import a_person, a_workspace
from tests.browser.support.site import Site
from tests.browser.support.tour import tour
from tests.browser.test_hostile import TITLE

TEXTS = """() => {
    const found = [document.title.split(' · ')[0]];
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
        const e = walk.currentNode.parentElement;
        if (!e.closest('script, style, code, .mono, [lang]:not(html)')) {
            found.push(walk.currentNode.textContent);
        }
    }
    for (const e of document.querySelectorAll('[aria-label], [placeholder], [data-label]')) {
        for (const name of ['aria-label', 'placeholder', 'data-label']) {
            if (e.hasAttribute(name)) found.push(e.getAttribute(name));
        }
    }
    return found.map(text => text.trim()).filter(text => text);
}"""
KEPT = re.compile(
    r"Twinlock|MFA|CSV|NDJSON|TOTP|SHA-1|UTC|AM|PM|API|Chrome|Linux|Workshop|Workspace"
    r"|yesterday|My phone is gone|It fell into the lake\.|Please take it off my account\."
    r"|\b[0-9A-Z]{4}(?:-[0-9A-Z]{4}){3}\b"
    r"|[\w.*+-]+@[\w.-]+|https?://\S+"
    r"|\b(?:w|member|owner|support|auditor|bound|demo|browser)-[\w-]+"
    r"|\b(?:Member|Owner|Support|Auditor) [0-9a-f]{8}\b|\b[0-9a-z]{26}\b|\b[A-Z2-7]{4}\b"
    r"|\bID\b|\bstaff\b|Lost device|Lost phone(?: [0-9a-f]{6})?|Request [0-9] [0-9a-f]{6}"
    rf"|{re.escape(TITLE)}"
)
"""Names, ids, abbreviations, and what people wrote themselves."""
ENGLISH = re.compile(r"[A-Za-z]{2,}")


def english_on(page: Page) -> list[str]:
    """What is left in English, once everything is gone that has no other name."""
    texts = page.evaluate(TEXTS)
    return sorted({text for text in texts if ENGLISH.search(KEPT.sub(" ", text))})


def test_no_string_is_left_untranslated(site: Site, visitor: Visitor) -> None:
    """UX 24: every page in Chinese, refusals and table heads included."""
    wrong = []
    for name, page in tour(site, lambda: visitor(chinese=True)):
        screenshot(page, f"chinese-{name}")
        if left := english_on(page):
            wrong.append(f"{name}: {left}")
    assert not wrong, "\n".join(wrong)


def test_the_browsers_wish_decides_and_the_switch_overrules(site: Site, visitor: Visitor) -> None:
    """UX 24: Accept-Language, a switch, and the way back to where one was."""
    person = a_person(site, a_workspace(site), role="owner")
    page = let_in(site, visitor(chinese=True), person, "/coverage?state=bound")
    expect(page.locator("html")).to_have_attribute("lang", re.compile("^zh"))
    page.get_by_role("link", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    assert page.url.endswith("/coverage?state=bound")
    page.goto("/policy")
    expect(page.locator("h1")).to_contain_text("MFA policy")
    page.get_by_role("link", name="简体中文").click()
    expect(page.locator("h1")).to_contain_text("策略")


def test_dates_and_plurals_are_localised(site: Site, visitor: Visitor) -> None:
    """UX 24: one member is no members, and Chinese writes its dates in its own order."""
    place = a_workspace(site)
    owner = a_person(site, place, role="owner")
    english = let_in(site, visitor(scripts=False), owner, "/coverage")
    expect(english.locator(".figure")).to_contain_text("1 of 1 member is bound")
    chinese = let_in(site, visitor(chinese=True, scripts=False), owner, "/coverage")
    expect(chinese.locator(".figure")).to_contain_text("1 名成员中有 1 名已绑定")
    assert re.search(r"\d{4}年\d{1,2}月\d{1,2}日", chinese.locator("time").first.inner_text())
