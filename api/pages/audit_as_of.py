"""What a member or a workspace was at a time, beside what it is now."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import request, url_for
from flask_babel import format_number, lazy_gettext
from flask_babel import gettext as _

from api import guards, past, reading
from api.pages import staff
from api.pages.audit_filters import moment, without_offset
from api.pages.event_words import actor_in_words
from api.pages.page import Page
from api.pages.site import Site
from api.visits import Visit

WORDS = {
    "status": lazy_gettext("Second factor"),
    "bound_at": lazy_gettext("Bound since"),
    "last_used_at": lazy_gettext("Last used"),
    "locked_until": lazy_gettext("Locked until"),
    "recovery_codes_left": lazy_gettext("Recovery codes left"),
    "open_ticket_id": lazy_gettext("Open ticket"),
    "mode": lazy_gettext("Policy"),
    "grace_until": lazy_gettext("Grace until"),
    "changed_at": lazy_gettext("Policy set"),
    "changed_by": lazy_gettext("Policy set by"),
    "members": lazy_gettext("Members"),
    "bound": lazy_gettext("Members bound"),
    "in_grace": lazy_gettext("Members in grace"),
    "overdue": lazy_gettext("Members overdue"),
    "locked": lazy_gettext("Members locked"),
}
VALUES = {
    "bound": lazy_gettext("Bound"),
    "enrolling": lazy_gettext("Binding"),
    "not_bound": lazy_gettext("Not bound"),
    "off": lazy_gettext("Off"),
    "enforced": lazy_gettext("Enforced"),
}
Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing then and now; `change` is said in words where it can be counted."""

    what: str
    then: object
    now: object
    differs: bool
    change: str


def add_to(site: Site) -> None:
    """Add the page."""
    site.get("/audit/as-of", "audit.as_of", guards.roles("auditor", "owner"), show)


def show(visit: Visit) -> Page:
    """A form, and once it is filled in, then and now beside each other."""
    asked = {name: staff.argument(name) for name in ("member_id", "workspace_id", "at")}
    if (own := visit.caller.scope) and asked["workspace_id"] in ("", own):
        asked["workspace_id"] = "" if asked["member_id"] else own
    at, wrong = _place(visit, asked) if "at" in request.args else (None, {})
    told = _told(visit, asked, at) if at else ()
    then, now = told or ({}, {})
    return Page(
        "staff/as_of.html",
        asked={**asked, "at": without_offset(asked["at"])[:16]},
        wrong=wrong,
        at=at,
        about=asked["member_id"] or asked["workspace_id"],
        lines=_lines(then, now),
        because=_link(then.get("because")),
        latest=_link(now.get("because")),
    )


def _place(visit: Visit, asked: Mapping[str, str]) -> tuple[datetime | None, Mapping[str, str]]:
    """The time asked for, or None and what is wrong, by field."""
    if bool(asked["member_id"]) == bool(asked["workspace_id"]):
        return None, {"member_id": _("Name either a member or a workspace.")}
    at = moment(asked["at"])
    if at is None:
        return None, {"at": _("Choose a day and a time.")}
    return (at, {}) if at <= visit.at else (None, {"at": _("Choose a time in the past.")})


def _told(visit: Visit, asked: Mapping[str, str], at: datetime) -> tuple[Facts, Facts]:
    """The answers of the API for then and for now."""
    if member_id := asked["member_id"]:
        visit = guards.reads_mfa(visit, {"member_id": member_id})
        then, now = (past.mfa(visit, member_id, each) for each in (at, visit.at))
        return then.model_dump(), now.model_dump()
    workspace_id = asked["workspace_id"]
    inside = guards.in_workspace("auditor", "owner")
    visit = inside(visit, {"workspace_id": workspace_id})
    return _workspace(visit, workspace_id, at), _workspace(visit, workspace_id, visit.at)


def _workspace(visit: Visit, workspace_id: str, at: datetime) -> Facts:
    paging = reading.paging(visit.backend, staff.page_asked_for(1), "as-of", workspace_id)
    policy = past.policy(visit, workspace_id, at).model_dump()
    covered = past.coverage(visit, workspace_id, at, paging).model_dump()
    reasons = [int(each) for each in (policy["because"], covered["because"]) if each]
    return {**policy, **covered, "because": str(max(reasons)) if reasons else None}


def _lines(then: Facts, now: Facts) -> list[Line]:
    return [_line(name, then[name], now[name]) for name in WORDS if name in then]


def _line(name: str, then: Any, now: Any) -> Line:
    counted = isinstance(then, int) and isinstance(now, int) and then != now
    return Line(
        what=str(WORDS[name]),
        then=_said(then),
        now=_said(now),
        differs=then != now,
        change=f"{'+' if now > then else '−'}{format_number(abs(now - then))}" if counted else "",
    )


def _said(value: Any) -> object:
    """A time stays one, for the page to show in both zones."""
    match value:
        case None:
            return "–"
        case datetime():
            return value
        case int():
            return format_number(value)
        case {"kind": kind, "id": id_}:
            return f"{actor_in_words(kind)} {id_ or ''}".strip()
    return str(VALUES.get(value, value))


def _link(because: str | None) -> str | None:
    return url_for("audit.event", position=int(because)) if because else None
