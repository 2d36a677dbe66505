"""Ways to look at a page: axe, screenshots, the QR code on them, and what overflows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page

SCREENSHOTS = Path(__file__).parents[3] / "build/screenshots"
STANDARD = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
"""axe's tags for WCAG 2.0 to 2.2, A and AA."""
RUN = "tags => axe.run({runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']})"
WIDE = """() => [...document.querySelectorAll('body *')]
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
    .filter(e => !e.closest('[data-scrolls], .scrolls, .overflow-auto'))
    .map(e => e.outerHTML.slice(0, 100))"""

SMALL = """() => [...document.querySelectorAll('main a, main button, main input, main select')]
    .filter(e => e.checkVisibility() && e.type !== 'hidden')
    .filter(e => { const b = e.getBoundingClientRect(); return b.width < 24 && b.height < 24; })
    .filter(e => !['checkbox', 'radio'].includes(e.type))
    .map(e => e.outerHTML.slice(0, 120))"""


def assert_accessible(page: Page) -> None:
    """Fail with one line for each violation of WCAG 2.0-2.2 A and AA that axe finds.

    The script enters by the debugger's door, which the page's security policy does not guard.
    """
    page.evaluate(_axe_script())
    found = page.evaluate(RUN, STANDARD)["violations"]
    lines = [line for violation in found for line in _lines(violation)]
    assert not lines, f"{page.url}\n" + "\n".join(lines)


def assert_fits(page: Page) -> None:
    """Fail where the page scrolls sideways, with the elements that stick out."""
    width, view = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= view, f"{page.url}: {width} px in {view}\n" + "\n".join(page.evaluate(WIDE))


def assert_touchable(page: Page) -> None:
    """Fail with whatever is to be pressed and is smaller than 24 px both ways."""
    small = page.evaluate(SMALL)
    assert not small, f"{page.url}: too small to touch\n" + "\n".join(small)


def screenshot(page: Page, name: str) -> Path:
    """Keep a picture of the whole page as build/screenshots/<name>.png."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    file = SCREENSHOTS / f"{name}.png"
    page.screenshot(path=file, full_page=True)
    return file


def read_qr(where: Page | Locator) -> str:
    """What the QR code says that a camera would see on the screen; empty where there is none."""
    picture = cv2.imdecode(np.frombuffer(where.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    for size in (1, 2, 3, 1.5, 2.5, 4):  # the detector likes some sizes better than others
        larger = cv2.resize(picture, None, fx=size, fy=size, interpolation=cv2.INTER_CUBIC)
        for detector in (cv2.QRCodeDetector(), cv2.QRCodeDetectorAruco()):
            text, _, _ = detector.detectAndDecode(larger)
            if text:
                return str(text)
    return ""


def path_of(page: Page) -> str:
    """The path of the page's address."""
    return urlsplit(page.url).path


def _axe_script() -> str:
    return str(Axe().axe_script)


def _lines(violation: dict[str, Any]) -> Sequence[str]:
    head = f"{violation['id']} ({violation['impact']}): {violation['help']}"
    return [
        f"{head}\n    {' '.join(node['target'])}\n    {node['html'][:200]}\n"
        f"    {node['failureSummary']}"
        for node in violation["nodes"]
    ]
