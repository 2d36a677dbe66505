"""Widths: 320 px, which is also a window of 1280 px at 400 % zoom, and wide screens (UX 23)."""

from playwright.sync_api import Page

from tests.browser.conftest import Visitor
from tests.browser.support.entering import let_in
from tests.browser.support.looking import assert_fits
from tests.browser.support.people import a_person, a_workspace
from tests.browser.support.site import Site


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
