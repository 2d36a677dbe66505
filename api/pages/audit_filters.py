"""What a reader of the audit trail asked for: form fields, chips and the read model's filter."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from flask import request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from pydantic import TypeAdapter, ValidationError

from api.audit_scope import filter_of
from api.fields import GivenTime
from api.pages.event_words import in_words
from api.pages.staff import Chip
from api.shapes import AuditQuery
from domain.times import rfc3339
from projections.audit_trail import Filter

LOCAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?", re.ASCII)
"""What a datetime-local field sends; it is read as UTC."""
TIMES = ("since", "until")
WORDS = {
    "workspace_id": lazy_gettext("Workspace"),
    "member_id": lazy_gettext("Member"),
    "ticket_id": lazy_gettext("Ticket"),
    "actor": lazy_gettext("Actor"),
    "type": lazy_gettext("Action"),
    "since": lazy_gettext("Since"),
    "until": lazy_gettext("Until"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The filters in the address, as they stand there; `wrong` says which cannot be."""

    given: Mapping[str, Any] = field(default_factory=dict)
    wrong: str = ""

    @classmethod
    def read(cls) -> "Asked":
        """Out of the query of this request."""
        given = {name: _in_utc(name, request.args.get(name, "").strip()) for name in WORDS}
        asked = cls(given={name: value for name, value in given.items() if value})
        try:
            asked.filter()
        except ValidationError as error:
            names = (str(WORDS[str(each["loc"][0])]) for each in error.errors())
            wrong = _("This filter cannot be: %(names)s.", names=", ".join(names))
            return replace(asked, wrong=wrong)
        return asked

    def filter(self) -> Filter:
        """As the read model takes it; raises ValidationError, as the API would refuse it."""
        query = AuditQuery.model_validate(
            {name: _exact(name, value) for name, value in self.given.items()}
        )
        return filter_of(query)

    def fields(self) -> Mapping[str, str]:
        """What the form shows, with the empty ones."""
        return {name: self._field(name) for name in WORDS}

    def chips(self) -> list[Chip]:
        """One for each filter; its link leads to the same without it."""
        return [
            Chip(text=f"{WORDS[name]}: {self._said(name)}", href=self._without(name))
            for name in self.given
        ]

    def _field(self, name: str) -> str:
        value: str = self.given.get(name, "")
        return value[:16] if name in TIMES else value

    def _said(self, name: str) -> str:
        value: str = self.given[name]
        if name in TIMES:
            return value.replace("T", " ").removesuffix("Z") + " UTC"
        return in_words(value) if name == "type" else value

    def _without(self, name: str) -> str:
        kept: dict[str, Any] = {
            other: value for other, value in self.given.items() if other != name
        }
        return url_for("audit.explore", **kept)


def moment(text: str) -> datetime | None:
    """The aware time that a reader typed, in UTC; None for what is none."""
    try:
        return TypeAdapter(GivenTime).validate_python(_utc(text))
    except ValidationError:
        return None


def without_offset(text: str) -> str:
    """A time as the form has times, in UTC; anything else as it is."""
    return rfc3339(moment(text)) or text


def _in_utc(name: str, value: str) -> str:
    return without_offset(value) if name in TIMES else value


def _exact(name: str, value: str) -> str:
    return _utc(value) if name in TIMES else value


def _utc(text: str) -> str:
    if not LOCAL.fullmatch(text):
        return text
    return f"{text}:00Z" if len(text) == len("0000-00-00T00:00") else f"{text}Z"
