"""The audit trail as auditors and owners look through it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import json, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext

from api import guards
from api.audit_scope import within_scope
from api.pages import audit_as_of, audit_export, staff
from api.pages.audit_filters import Asked
from api.pages.event_words import TYPES, actor_in_words, in_words, result_in_words
from api.pages.page import Page
from api.pages.site import Site
from api.problems import no_such_thing
from api.visits import Visit
from projections import audit_newest
from projections.audit_trail import Row

PAGE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """An event in the table."""

    href: str
    action: str
    time: datetime
    actor: str
    actor_id: str | None
    subject: str
    result: str
    kind: str
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Something that an event belongs to."""

    what: str
    text: str
    href: str


def add_to(site: Site) -> None:
    """Add the pages."""
    reader = guards.roles("auditor", "owner")
    site.menu("audit.explore", lazy_gettext("Audit"), "owner", "auditor")
    site.get("/audit", "audit.explore", reader, explore)
    site.get("/audit/events/<int:position>", "audit.event", reader, event)
    site.post("/audit/export", "audit.export", reader, audit_export.export)
    audit_as_of.add_to(site)


def explore(visit: Visit) -> Page:
    """The newest events, or those before or behind a position: such an address stays true."""
    asked = Asked.read()
    if asked.wrong:
        return _page(visit, asked, [])
    wanted = within_scope(visit, asked.filter())
    before, after = staff.number("before"), staff.number("after")
    with visit.backend.reads.connection() as connection:
        if after:
            rows = audit_newest.behind(connection, wanted, position=after, limit=PAGE)
        else:
            rows = audit_newest.before(connection, wanted, position=before or None, limit=PAGE)
        newer = rows and audit_newest.behind(connection, wanted, position=rows[0].position, limit=1)
        older = rows and audit_newest.before(
            connection, wanted, position=rows[-1].position, limit=1
        )
    return _page(visit, asked, rows, newer=bool(newer), older=bool(older))


def _page(
    visit: Visit,
    asked: Asked,
    rows: Sequence[Row],
    *,
    newer: bool = False,
    older: bool = False,
) -> Page:
    def there(**also: Any) -> str:
        return url_for("audit.explore", **asked.given, **also)

    return Page(
        "staff/audit.html",
        scope=visit.caller.scope,
        asked=asked.fields(),
        wrong={"filters": asked.wrong} if asked.wrong else None,
        types=[(name, in_words(name)) for name in TYPES],
        chips=asked.chips(),
        rows=[_line(row) for row in rows],
        newer=there(after=rows[0].position) if newer else None,
        older=there(before=rows[-1].position) if older else None,
        as_of=_as_of(asked),
        export=url_for("audit.export", **asked.given),
    )


def _as_of(asked: Asked) -> str:
    """The past of the member or workspace that is looked at."""
    about = next((name for name in ("member_id", "workspace_id") if name in asked.given), None)
    return url_for("audit.as_of", **({about: asked.given[about]} if about else {}))


def _line(row: Row) -> Line:
    return Line(
        href=url_for("audit.event", position=row.position),
        action=in_words(row.type),
        time=row.time,
        actor=actor_in_words(row.actor_kind),
        actor_id=row.actor_id,
        subject=row.subject,
        result=result_in_words(row.result),
        kind=row.result,
        position=row.position,
    )


def event(visit: Visit) -> Page:
    """One whole event, with links to what it belongs to."""
    position = (request.view_args or {})["position"]
    with visit.backend.reads.connection() as connection:
        row = audit_newest.event(connection, position, within_scope(visit, Asked().filter()))
    if row is None:
        raise no_such_thing()
    return Page(
        "staff/audit_event.html",
        row=row,
        action=in_words(row.type),
        actor=actor_in_words(row.actor_kind),
        result=result_in_words(row.result),
        links=_links(row),
        data=sorted((name, _shown(value)) for name, value in row.data.items()),
    )


BELONGS = {
    "workspace_id": lazy_gettext("Workspace"),
    "member_id": lazy_gettext("Member"),
    "ticket_id": lazy_gettext("Ticket"),
}


def _links(row: Row) -> list[Link]:
    ids: Mapping[str, str | None] = {name: getattr(row, name) for name in BELONGS}
    found = [_link(str(BELONGS[name]), {name: id_}) for name, id_ in ids.items() if id_]
    if row.actor_id:
        found.append(_link(_("Actor"), {"actor": row.actor_id}))
    here = url_for("audit.explore", type=row.type)
    found.append(Link(what=_("Same action"), text=in_words(row.type), href=here))
    return found


def _link(what: str, filters: dict[str, Any]) -> Link:
    (text,) = filters.values()
    return Link(what=what, text=text, href=url_for("audit.explore", **filters))


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
