"""Times on pages: rendered in UTC in the reader's language, made local by the page's script."""

from datetime import datetime
from typing import Any

from flask import Flask
from flask_babel import format_datetime
from flask_babel import gettext as _
from markupsafe import Markup

from api import language
from domain.times import rfc3339

FORMS = {"en": "d MMM yyyy, HH:mm", "zh": "y年M月d日 HH:mm"}


def install(app: Flask) -> None:
    """Give the templates their filters."""
    filters: dict[str, Any] = app.jinja_env.filters
    filters.update(in_utc=in_utc, when=when, both_times=both_times, rfc3339=rfc3339)


def in_utc(time: datetime) -> str:
    """The time in UTC, in the reader's language."""
    return f"{format_datetime(time, FORMS[language.current()])} UTC"


def when(time: datetime) -> Markup:
    """A time that the script turns into the reader's own."""
    return Markup('<time datetime="{}" data-local>{}</time>').format(rfc3339(time), in_utc(time))


def both_times(time: datetime) -> Markup:
    """UTC, and the reader's own time where there is a script."""
    return Markup(
        '<time datetime="{}">{}</time><br><span class="quiet" data-also-local="{}"'
        ' data-words="{}"></span>'
    ).format(rfc3339(time), in_utc(time), rfc3339(time), _("your time"))
