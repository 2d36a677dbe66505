"""A served Twinlock and browsers on it: `site`, `page`, and `visitor` for every other kind."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    Playwright,
    ViewportSize,
    sync_playwright,
)

from tests.browser.support.site import Site, served
from tests.support.parts import fresh_database
from twinlock.dev.mailbox import Mailbox

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
]
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
NARROW: ViewportSize = {"width": 320, "height": 640}
Visitor = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder."""
    for item in items:
        if "tests/browser/" in item.path.as_posix():
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """Drives the browser."""
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """The session's chromium."""
    chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
    yield chromium
    chromium.close()


@pytest.fixture(scope="session")
def site(postgres_server: str) -> Iterator[Site]:
    """Twinlock with its demonstration data, served for the session."""
    with (
        fresh_database(postgres_server) as database,
        Mailbox() as mailbox,
        served(database, mailbox) as site,
    ):
        yield site


@pytest.fixture
def visitor(browser: Browser, site: Site) -> Iterator[Visitor]:
    """Make a page in a browser of its own: `visitor(narrow=True, dark=True, chinese=True)`.

    `scripts=False` switches JavaScript off; anything else is playwright's new_context's.
    """
    opened: list[BrowserContext] = []

    def visit(
        *,
        narrow: bool = False,
        dark: bool = False,
        chinese: bool = False,
        scripts: bool = True,
        **others: Any,
    ) -> Page:
        context = browser.new_context(
            base_url=site.url,
            viewport=NARROW if narrow else DESKTOP,
            color_scheme="dark" if dark else "light",
            locale="zh-CN" if chinese else "en-GB",
            timezone_id="Asia/Shanghai" if chinese else "Europe/Berlin",
            java_script_enabled=scripts,
            **{"reduced_motion": "reduce", **others},
        )
        context.set_default_timeout(30_000)
        opened.append(context)
        return context.new_page()

    yield visit
    for context in opened:
        context.close()


@pytest.fixture
def page(visitor: Visitor) -> Page:
    """A desktop browser, light, in English, with JavaScript."""
    return visitor()


@pytest.fixture
def context(page: Page) -> BrowserContext:
    """The browser that `page` is in."""
    return page.context
