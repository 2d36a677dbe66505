"""The front page, which leads on, and the switch of the language."""

from flask import Response, redirect, request, url_for

from api import guards, language
from api.pages.local import local_path
from api.pages.page import Page
from api.pages.site import Site
from api.visits import Visit


def add_to(site: Site) -> None:
    """Add the pages."""
    site.get("/", "front.page", guards.anyone, front)
    site.get("/language/<code>", "language.switch", guards.anyone, switch)


def front(visit: Visit) -> Page | Response:
    """To the settings, to the sign-in of a demonstration, or a word on how to get in."""
    if visit.caller.holder is not None:
        return Page.elsewhere(url_for("settings.show"))
    if visit.backend.passwords is not None:
        return Page.elsewhere(url_for("sign_in.ask"))
    return Page("front.html")


def switch(visit: Visit) -> Response:
    """Keep the language, and go back to where the reader was."""
    assert request.view_args is not None
    response = redirect(local_path(request.args.get("back")), 303)
    return language.switch(response, str(request.view_args["code"]))  # type: ignore[arg-type]
