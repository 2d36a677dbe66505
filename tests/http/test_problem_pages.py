"""Browsers that meet a refusal see a page that says what happened, what to do, and the request."""

import re
from dataclasses import replace
from typing import Any

import pytest

from api.app import create_app
from domain.refusals import (
    Conflict,
    Forbidden,
    Locked,
    NotFound,
    Refusal,
    TooMany,
    Unavailable,
)
from tests.http.installation import Installation

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.mark.parametrize(
    ("refusal", "status", "title"),
    [
        (Forbidden(), 403, "Not allowed"),
        (NotFound(), 404, "Nothing here"),
        (Conflict(), 409, "This no longer fits"),
        (TooMany(retry_after=90), 429, "Too often"),
        (Locked(retry_after=90), 429, "Too often"),
        (Unavailable(retry_after=1), 503, "Please try again soon"),
    ],
)
def test_a_refusal_has_its_page(
    here: Installation, refusal: Refusal, status: int, title: str
) -> None:
    """UX 26."""

    class Broken:
        def find(self, *_: Any) -> None:
            raise refusal

    broken = create_app(replace(here.backend, sessions=Broken()))  # type: ignore[arg-type]
    client = broken.test_client()
    client.set_cookie("__Host-twinlock", "x" * 43, secure=True)
    answer = client.get("/settings", base_url="https://localhost", headers=HTML)
    assert answer.status_code == status
    assert f"<h1>{title}</h1>" in answer.text
    assert f"<code>{answer.headers['X-Request-Id']}</code>" in answer.text
    assert ("Retry-After" in answer.headers) == (status in (429, 503))


def test_something_wrong_with_us_shows_nothing_of_it(here: Installation) -> None:
    class Broken:
        def find(self, *_: Any) -> None:
            raise ZeroDivisionError("a secret of ours")

    broken = create_app(replace(here.backend, sessions=Broken()))  # type: ignore[arg-type]
    client = broken.test_client()
    client.set_cookie("__Host-twinlock", "x" * 43, secure=True)
    answer = client.get("/settings", base_url="https://localhost", headers=HTML)
    assert answer.status_code == 500
    assert "Something went wrong" in answer.text
    assert "secret of ours" not in answer.text


def test_programs_get_problems_and_browsers_pages(here: Installation) -> None:
    """UX 26."""
    assert here.get("/nowhere").told == (404, "not-found")
    assert "<h1>Nothing here</h1>" in here.get("/nowhere", headers=HTML).text
    assert here.get("/v1/nowhere", headers=HTML).told == (404, "not-found")
    wrong = here.post("/settings", headers=HTML)
    assert wrong.status == 405
    assert "GET" in wrong.headers["Allow"]
    assert "<h1>" in wrong.text


def test_without_a_demonstration_there_is_no_sign_in(here: Installation) -> None:
    assert here.get("/sign-in", headers=HTML).status == 404
    assert here.get("/settings", headers=HTML).status == 401
    front = here.get("/", headers=HTML)
    assert front.status == 200
    assert "the application that you log in to" in front.text


def test_the_markup_of_a_page_is_whole(here: Installation) -> None:
    text = here.get("/tickets/new", headers=HTML).text
    assert len(re.findall("<h1", text)) == 1
    assert text.count("<form") == text.count("</form>")
    assert 'name="csrf"' in text
