"""Refusals in words that people can act on."""

from flask_babel import gettext as _
from flask_babel import ngettext
from markupsafe import Markup, escape

from api.pages.times import when
from domain.refusals import (
    AlreadyBound,
    CodeRejected,
    Conflict,
    Forbidden,
    Locked,
    Malformed,
    NotBound,
    NotFound,
    Refusal,
    TicketOpen,
    TooMany,
    Unauthenticated,
    Unavailable,
)

APP, RECOVERY = "app", "recovery"
"""What was given where a recovery code would do as well as a code of the app."""


def refused(refusal: Refusal, given: str = "") -> Markup:
    """What happened and what to do, in a sentence or two; `given` is APP, RECOVERY or neither."""
    if isinstance(refusal, CodeRejected):
        return _rejected(refusal, given)
    if isinstance(refusal, Locked):
        return _locked(refusal, given)
    if isinstance(refusal, TooMany):
        minutes = max(1, -(-(refusal.retry_after or 60) // 60))
        return escape(
            ngettext(
                "That was too often. Try again in one minute.",
                "That was too often. Try again in %(num)s minutes.",
                minutes,
            )
        )
    return escape(_plain(refusal))


def mailed_code_rejected(refusal: CodeRejected) -> str:
    """The same of a code that was mailed."""
    if refusal.attempts_left == 0:
        return _("That code was not accepted. Have another one sent.")
    said = _("That code was not accepted. Enter the code from the newest mail.")
    return f"{said} {tries(refusal.attempts_left)}".strip()


def _rejected(refusal: CodeRejected, given: str) -> Markup:
    if given == RECOVERY:
        words = _(
            "That recovery code was not accepted. Each works once, and only those that were"
            " shown last."
        )
        if refusal.locked_until is not None:  # for codes of the app, not for the next of these
            return escape(words)
    elif refusal.locked_until is not None:
        return _locked(refusal, given)
    else:
        words = _(
            "That code was not accepted. Check that your phone sets its time automatically,"
            " then enter the newest code."
        )
    return escape(f"{words} {tries(refusal.attempts_left)}".strip())


def tries(left: int | None) -> str:
    """How many tries there are before the next lock."""
    if left is None:
        return ""
    return ngettext("You have one try left.", "You have %(num)s tries left.", left)


def _locked(refusal: Refusal, given: str) -> Markup:
    until = when(refusal.locked_until) if refusal.locked_until else Markup("–")
    if given == APP:
        words = _(
            "Too many codes were refused: none is looked at until %(until)s."
            " A recovery code still works, and so does a request to unbind MFA.",
            until=until,
        )
    elif given == RECOVERY:
        words = _(
            "Too many recovery codes were refused: the next is looked at from %(until)s."
            " A request to unbind MFA still works.",
            until=until,
        )
    else:
        words = _("Too many codes were refused: none is looked at until %(until)s.", until=until)
    return Markup(words)  # noqa: S704 - our own words, and a time that is markup already


def _plain(refusal: Refusal) -> str:
    """The kinds that need no figures."""
    for kind, words in (
        (AlreadyBound, _("An authenticator is bound already. Unbind it first to bind another.")),
        (NotBound, _("No authenticator is bound, or another one: there is nothing to do here.")),
        (TicketOpen, _("You have an open request already. It has to be decided first.")),
        (Conflict, _("This step no longer fits: something changed in the meantime.")),
        (Unauthenticated, _("You are not signed in, or your session has ended.")),
        (Forbidden, _("You are signed in, but not allowed to do this.")),
        (NotFound, _("There is nothing here, or it is not yours to see.")),
        (Malformed, _("Something in the form is missing or not as expected.")),
        (Unavailable, _("Twinlock cannot answer at the moment. Nothing was changed.")),
    ):
        if isinstance(refusal, kind):
            return words
    return _("Something went wrong.")
