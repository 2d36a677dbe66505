"""The reader's language: a choice kept in a cookie, else what the browser asks for."""

from typing import Final

from flask import Flask, Response, request
from flask_babel import Babel, get_locale

from api.pages.local import local_path
from api.problems import no_such_thing

LANGUAGES: Final = {"en": "English", "zh": "简体中文"}
NAME: Final = "__Host-twinlock-language"
YEAR: Final = 365 * 24 * 3600
TAGS: Final = {"en": "en", "zh": "zh-Hans"}


def install(app: Flask) -> None:
    """Translate texts, dates and plurals; offer the switch."""
    Babel(app, locale_selector=chosen, timezone_selector=lambda: "UTC")
    app.jinja_env.globals.update(
        languages=LANGUAGES, language=current, language_tag=tag, name_tag=TAGS.__getitem__
    )


def chosen() -> str:
    """One of the languages that there are."""
    kept = request.cookies.get(NAME)
    if kept in LANGUAGES:
        return kept
    asked = [value.partition("-")[0].lower() for value, _ in request.accept_languages]
    return next((value for value in asked if value in LANGUAGES), "en")


def current() -> str:
    """The language of this answer."""
    locale = get_locale()
    return locale.language if locale and locale.language in LANGUAGES else "en"


def tag() -> str:
    """The same as BCP 47 writes it."""
    return TAGS[current()]


def switch(response: Response, language: str) -> Response:
    """Keep the choice."""
    if language not in LANGUAGES:
        raise no_such_thing()
    response.set_cookie(NAME, language, max_age=YEAR, secure=True, httponly=True, samesite="Lax")
    return response


def way_back() -> str:
    """Where the switch leads: the page that it stood on, where that can be asked for again."""
    if request.method != "GET":
        return local_path(request.path)
    return local_path(request.full_path.rstrip("?"))
