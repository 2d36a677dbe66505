"""Ways to walk through the pages: with a mouse, without scripts, by keyboard alone, in Chinese."""

from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Page

from tests.browser.support.looking import assert_accessible, assert_fits

MOST_TABS = 40
WAYS: dict[str, dict[str, Any]] = {
    "mouse": {},
    "no scripts": {"scripts": False},
    "keyboard": {"keyboard": True},
    "chinese": {"chinese": True},
    "narrow and dark": {"narrow": True, "dark": True},
}


@dataclass
class Walker:
    """A person at a page; every page that is left was accessible and fitted its window."""

    page: Page
    keyboard: bool = False
    scripts: bool = True
    seen: list[str] = field(default_factory=list)

    def press(self, selector: str) -> None:
        """Press a button or follow a link."""
        self.look()
        if not self.keyboard:
            with self.page.expect_navigation():
                self.page.locator(selector).first.click()
            return
        self._reach(selector)
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")

    def write(self, selector: str, text: str, *, send: bool = False) -> None:
        """Fill a field in, and send its form with Enter."""
        if self.keyboard:
            self._reach(selector)
            self.page.keyboard.press("Control+A")
            self.page.keyboard.type(text)
        else:
            self.page.locator(selector).fill(text)
        if send:
            self.look()
            with self.page.expect_navigation():
                self.page.keyboard.press("Enter")

    def tick(self, selector: str) -> None:
        """Tick a box."""
        if self.keyboard:
            self._reach(selector)
            self.page.keyboard.press("Space")
        else:
            self.page.locator(selector).check()

    def look(self) -> None:
        """Judge the page as it is, once it is whole."""
        self.page.wait_for_load_state()
        self.seen.append(self.page.url)
        assert self.page.locator("h1").count() == 1
        if self.scripts:  # axe is one
            assert_accessible(self.page)
        assert_fits(self.page)

    def _reach(self, selector: str) -> None:
        wanted = f"document.activeElement.matches({selector!r})"
        for _ in range(MOST_TABS):
            if self.page.evaluate(wanted):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"{selector} is out of the keyboard's reach on {self.page.url}")


def enter(page: Page, text: str, selector: str = "#code") -> None:
    """Fill the field in and send its form with Enter."""
    page.fill(selector, text)
    with page.expect_navigation():
        page.press(selector, "Enter")


def walker(visitor: Any, way: str) -> Walker:
    """A person who goes this way."""
    wishes = dict(WAYS[way])
    keyboard = wishes.pop("keyboard", False)
    return Walker(visitor(**wishes), keyboard=keyboard, scripts=wishes.get("scripts", True))
