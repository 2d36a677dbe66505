"""axe finds no violation of WCAG 2.0-2.2 A and AA on any page; each fits 320 px too (UX 23)."""

from collections.abc import Callable

from playwright.sync_api import Page

from tests.browser.conftest import DESKTOP, NARROW, Visitor
from tests.browser.support.looking import (
    assert_accessible,
    assert_fits,
    assert_touchable,
    screenshot,
)
from tests.browser.support.site import Site
from tests.browser.support.tour import tour


def test_every_page_is_accessible(site: Site, visitor: Visitor) -> None:
    """UX 23: one h1, axe in both themes, and 320 px; the pictures are kept in build/screenshots."""
    wrong: list[str] = []

    def look(view: str, page: Page, *checks: Callable[[Page], None]) -> None:
        screenshot(page, view)
        for check in checks:
            try:
                check(page)
            except AssertionError as error:
                wrong.append(f"{view}: {error}")

    for name, page in tour(site, visitor):
        assert page.locator("h1").count() == 1, page.url
        assert page.locator("h1").inner_text() != "Something went wrong", page.url
        look(f"light-{name}", page, assert_accessible)
        page.emulate_media(color_scheme="dark")
        look(f"dark-{name}", page, assert_accessible)
        page.set_viewport_size(NARROW)
        look(f"narrow-{name}", page, assert_fits, assert_touchable)
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(DESKTOP)
    assert not wrong, "\n".join(wrong)


def test_the_mailbox_of_the_demonstration_is_accessible(site: Site, visitor: Visitor) -> None:
    """UX 23: the development mailbox, in both themes."""
    for dark in (False, True):
        page = visitor(dark=dark)
        page.goto(site.mailbox.url)
        assert_accessible(page)
