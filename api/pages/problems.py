"""The pages that say what went wrong, what to do about it, and a request id (UX 26)."""

from typing import Any

from flask import g, request, url_for
from flask_babel import gettext as _
from markupsafe import Markup

from api.pages.origin import FIELD
from api.pages.page import Page
from api.pages.refusals import CrossSite, StaleForm
from api.pages.words import refused
from api.refusals import status_of
from domain.refusals import Refusal, Unauthenticated


def page(refusal: Refusal, *, in_login: bool = False, signs_in: bool = False) -> Page:
    """The page of the refusal's status; `signs_in` says that there is a sign-in of our own."""
    title, what, then = _words(refusal, status_of(refusal), in_login)
    return Page(
        "problem_page.html",
        rejected=refusal,
        title=title,
        what=what,
        then=then,
        request_id=g.get("request_id", ""),
        onwards=_onwards(refusal, in_login=in_login, signs_in=signs_in),
    )


def _onwards(refusal: Refusal, *, in_login: bool, signs_in: bool) -> tuple[str, str] | None:
    """Where there is something to go on with, and its name."""
    if isinstance(refusal, Unauthenticated) and signs_in:
        return url_for("sign_in.ask"), _("Sign in")
    if in_login:
        stands = isinstance(refusal, StaleForm) and _goes_on()
        return (url_for("login.show"), _("Back to the login")) if stands else None
    return url_for("front.page"), _("Front page")


def csrf_field() -> Markup:
    """The hidden field that every form begins with."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(FIELD, g.browser.csrf())


def _words(refusal: Refusal, status: int, in_login: bool) -> tuple[str, Any, str]:
    """What happened, in a title and a sentence, and what to do."""
    if isinstance(refusal, CrossSite):
        return (
            _("Not allowed"),
            _("The form was sent from another website, so nothing was done."),
            _("If you meant to do this, open the page here and send the form again."),
        )
    if isinstance(refusal, StaleForm):
        return (
            _("This page was out of date"),
            _perhaps_done(
                _(
                    "You have signed in or out, or taken another step, here or in another tab"
                    " since this page was opened."
                )
            ),
            _("Go on from the newest page to see how things stand now.")
            if _goes_on() or not in_login
            else _("Go back to the application and log in again."),
        )
    if isinstance(refusal, Unauthenticated):
        what = (
            _("It was finished, took longer than ten minutes, or was ended.")
            if in_login
            else _("Your session has ended, or you have not signed in yet.")
        )
        return (
            _("This login has ended") if in_login else _("You are signed out"),
            _perhaps_done(what) if request.method == "POST" else what,
            _("Go back to the application and log in again."),
        )
    return _titles(status), refused(refusal), _advice(status)


def _goes_on() -> bool:
    """Whether the login or session of the page's cookie is still there."""
    return g.browser.session() is not None


def _perhaps_done(what: str) -> str:
    """A form that is refused may be one that was taken before, whose answer nobody saw."""
    perhaps = _("If you have sent this before, it may have been carried out already.")
    return f"{what} {perhaps}"


def _titles(status: int) -> str:
    return {
        403: _("Not allowed"),
        404: _("Nothing here"),
        405: _("Nothing to do here"),
        413: _("Too long"),
        409: _("This no longer fits"),
        422: _("Something is missing"),
        429: _("Too often"),
        503: _("Please try again soon"),
    }.get(status, _("Something went wrong"))


def _advice(status: int) -> str:
    return {
        403: _("Sign in as somebody who may, or ask an owner of the workspace."),
        404: _("Check the address, or begin at the front page."),
        405: _("Begin at the front page."),
        413: _("Go back and shorten what you wrote."),
        409: _("Begin at the front page to see how things stand now."),
        422: _("Go back and fill in the form again."),
        429: _("Wait a little, then try again."),
        503: _("Wait a moment, then try again."),
    }.get(status, _("Try again. If it happens once more, tell support the request id."))
