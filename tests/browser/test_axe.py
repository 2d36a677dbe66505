"""axe finds no violation of WCAG 2.0-2.2 A and AA on any page, in both themes (UX 23)."""

import pytest

from tests.browser.conftest import Visitor
from tests.browser.support.looking import assert_accessible, screenshot
from tests.browser.support.site import Site
from tests.browser.support.tour import tour


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_page_is_accessible(site: Site, visitor: Visitor, dark: bool) -> None:
    """UX 23: axe, and one h1 on each page; the pictures are kept in build/screenshots."""
    wrong = []
    for name, page in tour(site, lambda: visitor(dark=dark)):
        screenshot(page, f"{'dark' if dark else 'light'}-{name}")
        assert page.locator("h1").count() == 1, page.url
        assert page.locator("h1").inner_text() != "Something went wrong", page.url
        try:
            assert_accessible(page)
        except AssertionError as error:
            wrong.append(f"{name}: {error}")
    assert not wrong, "\n".join(wrong)


def test_the_mailbox_of_the_demonstration_is_accessible(site: Site, visitor: Visitor) -> None:
    """UX 23: the development mailbox, in both themes."""
    for dark in (False, True):
        page = visitor(dark=dark)
        page.goto(site.mailbox.url)
        assert_accessible(page)
