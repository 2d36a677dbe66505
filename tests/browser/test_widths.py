"""Every page works in 320 px, which is also a window of 1280 px at 400 % zoom (UX 23)."""

from playwright.sync_api import Page

from tests.browser.conftest import Visitor
from tests.browser.support.entering import let_in
from tests.browser.support.looking import assert_fits, screenshot
from tests.browser.support.people import a_person, a_workspace
from tests.browser.support.site import Site
from tests.browser.support.tour import tour

SMALL = """() => [...document.querySelectorAll('main a, main button, main input, main select')]
    .filter(e => e.checkVisibility() && e.type !== 'hidden')
    .filter(e => { const b = e.getBoundingClientRect(); return b.width < 24 && b.height < 24; })
    .filter(e => !['checkbox', 'radio'].includes(e.type))
    .map(e => e.outerHTML.slice(0, 120))"""


def test_every_page_fits_320_px(site: Site, visitor: Visitor) -> None:
    """UX 23: 320 px without scrolling sideways, in the dark theme, also where it went wrong."""
    wrong = []
    for name, page in tour(site, lambda: visitor(narrow=True, dark=True)):
        screenshot(page, f"narrow-{name}")
        try:
            assert_fits(page)
        except AssertionError as error:
            wrong.append(f"{name}: {error}")
        if small := page.evaluate(SMALL):
            wrong.append(f"{name}: too small to touch: {small}")
    assert not wrong, "\n".join(wrong)


def test_the_page_about_the_events_fits_320_px(visitor: Visitor) -> None:
    """UX 23: the longest names of events too."""
    page: Page = visitor(narrow=True)
    page.goto("/docs/events")
    assert_fits(page)


def test_the_menu_is_one_line_on_a_wide_screen(site: Site, page: Page) -> None:
    """An owner's, who has the longest, on a page of narrow text too."""
    let_in(site, page, a_person(site, a_workspace(site), role="owner"), "/settings")
    entries = page.locator("header .menu a")
    assert entries.count() == 4
    assert len({box["y"] for each in entries.all() if (box := each.bounding_box())}) == 1


def test_nothing_moves_for_those_who_want_it_still(site: Site, visitor: Visitor) -> None:
    """UX 23: reduced motion."""
    page: Page = visitor(reduced_motion="reduce")
    page.goto("/sign-in")
    moves = page.evaluate(
        "[...document.querySelectorAll('*')].filter(e => {"
        " const s = getComputedStyle(e);"
        " return s.animationName !== 'none' || parseFloat(s.transitionDuration) > 0; }).length"
    )
    assert moves == 0
