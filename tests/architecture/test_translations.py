"""Every text of the pages stands in every language, with the same blanks to fill in."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

API = Path(__file__).parents[2] / "api"
METHODS = [("pages/**.py", "python"), ("templates/**.html", "jinja2")]
KEYWORDS: dict[str, tuple[int, ...] | None] = {
    "_": None,
    "gettext": None,
    "lazy_gettext": None,
    "ngettext": (1, 2),
}
BLANK = re.compile(r"%\(\w+\)s")
CATALOGUES = sorted(API.glob("translations/*/LC_MESSAGES/messages.po"))


@cache
def texts() -> frozenset[str | tuple[str, ...]]:
    """What the code asks for, one or several forms each."""
    return frozenset(_texts())


def _texts() -> Iterator[str | tuple[str, ...]]:
    for _, _, text, _, _ in extract_from_dir(API, METHODS, keywords=KEYWORDS):
        yield text if isinstance(text, str) else tuple(text)


@cache
def catalogue(path: Path) -> dict[str | tuple[str, ...], Message]:
    """What is translated."""
    with path.open("rb") as file:
        messages = [message for message in read_po(file) if message.id]
    return {m.id if isinstance(m.id, str) else tuple(m.id): m for m in messages}


def said(message: Message) -> list[str]:
    forms = message.string
    return [forms] if isinstance(forms, str) else list(forms or ())


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_no_text_is_missing_and_none_is_left_over(path: Path) -> None:
    known = catalogue(path)
    assert texts(), "nothing was extracted"
    missing = {text for text in texts() if text not in known or not all(said(known[text]))}
    assert missing == set()
    assert set(known) - texts() == set()


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_no_translation_is_a_guess_or_loses_a_blank(path: Path) -> None:
    for text, message in catalogue(path).items():
        assert not message.fuzzy, text
        forms = [text] if isinstance(text, str) else list(text)
        wanted = set(BLANK.findall(forms[-1]))
        for translated in said(message):
            assert set(BLANK.findall(translated)) == wanted, text
