"""An owner's view of who in the workspace has a second factor, as a chart, a table and a CSV."""

from dataclasses import dataclass
from datetime import datetime

from flask import Response, url_for
from flask_babel import format_number, format_percent, lazy_gettext, ngettext
from flask_babel import gettext as _

from api.csv_lines import csv_lines
from api.pages import staff
from api.pages.page import Page
from api.pages.site import Site
from api.visits import Visit
from commands.profile import workspace_name
from domain.times import rfc3339
from projections import coverage, progress, standing
from projections.coverage import Chip, Counts, Item

PAGE = 50
CHIPS: dict[str, Chip | None] = {
    "": None,
    "bound": "bound",
    "grace": "in_grace",
    "overdue": "overdue",
    "locked": "locked",
}
"""What stands in the query string, and what the read model calls it."""
STATES = {
    "bound": lazy_gettext("Bound"),
    "enrolling": lazy_gettext("Binding"),
    "not_bound": lazy_gettext("Not bound"),
}
ROLES = {
    "member": lazy_gettext("Member"),
    "owner": lazy_gettext("Owner"),
    "support": lazy_gettext("Agent"),
    "auditor": lazy_gettext("Auditor"),
    "analyst": lazy_gettext("Analyst"),
}
HEADER = ("member_id", "role", "status", "enrolment_due_at", "locked_until")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A member in the table."""

    member_id: str
    role: str
    state: str
    tone: str
    due: datetime | None
    locked: datetime | None


def add_to(site: Site) -> None:
    """Add the pages."""
    owner = staff.at_home("owner")
    site.menu("coverage.show", lazy_gettext("MFA coverage"), "owner")
    site.get("/coverage", "coverage.show", owner, show)
    site.get("/coverage.csv", "coverage.download", owner, download)


def show(visit: Visit) -> Page:
    """The bound share with its denominator, the chart with its twin, and the members."""
    assert visit.workspace is not None
    state, after = staff.one_of("state", tuple(CHIPS)), staff.argument("after")
    with visit.backend.reads.connection() as connection:
        position = progress.complete_up_to(connection, standing.KEY)
        counts = coverage.counts(connection, visit.workspace.id, visit.at)
        found = coverage.items(
            connection,
            visit.workspace.id,
            visit.at,
            chip=CHIPS[state],
            after=after,
            limit=PAGE + 1,
        )
    page, rest = found[:PAGE], found[PAGE:]
    return Page(
        "staff/coverage.html",
        workspace=workspace_name(visit.desk.vault, visit.workspace.id),
        counts=counts,
        share=_share(counts.bound, counts),
        percent=lambda count: _share(count, counts),
        of=lambda count: f"{format_number(count)} · {_share(count, counts)}",
        number=format_number,
        at=visit.at,
        position=position,
        behind=position < visit.desk.store.head(),
        rows=_rows(counts),
        summary=_summary(counts),
        choices=_choices(state, counts),
        caption=_caption(state),
        items=[_line(item) for item in page],
        download=url_for("coverage.download", state=state or None),
        first=url_for("coverage.show", state=state or None) if after else None,
        next=url_for("coverage.show", state=state or None, after=page[-1].member_id)
        if rest
        else None,
    )


def download(visit: Visit) -> Response:
    """Every member that the chip stands for, as CSV."""
    assert visit.workspace is not None
    state = staff.one_of("state", tuple(CHIPS))
    everybody = coverage.every_item(
        visit.backend.reads, visit.workspace.id, visit.at, chip=CHIPS[state]
    )
    lines = csv_lines(HEADER, map(_cells, everybody))
    name = f"coverage-{state or 'all'}.csv"
    response = Response(
        lines,
        mimetype="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
    response.call_on_close(visit.backend.exports.take())
    return response


def _cells(item: Item) -> tuple[str | None, ...]:
    due, locked = rfc3339(item.enrolment_due_at), rfc3339(item.locked_until)
    return item.member_id, item.role, item.status, due, locked


def _words() -> dict[str, str]:
    return {
        "bound": _("Bound"),
        "grace": _("In grace"),
        "overdue": _("Overdue"),
        "locked": _("Locked"),
    }


def _count(state: str, counts: Counts) -> int:
    chip = CHIPS[state]
    return counts.members if chip is None else int(getattr(counts, chip))


def _rows(counts: Counts) -> list[tuple[str, int, str]]:
    return [(word, _count(name, counts), name) for name, word in _words().items()]


def _summary(counts: Counts) -> str:
    """The chart in a sentence."""
    parts = [f"{word}: {format_number(count)}" for word, count, _kind in _rows(counts)]
    of = ngettext("Of %(num)s member", "Of %(num)s members", counts.members)
    return f"{of}: {'; '.join(parts)}"


def _share(count: int, counts: Counts) -> str:
    return format_percent(count / counts.members if counts.members else 0, "0.#%")


def _choices(state: str, counts: Counts) -> list[staff.Chip]:
    words = {"": _("All"), **_words()}
    return [
        staff.Chip(
            text=word,
            href=url_for("coverage.show", state=name or None),
            chosen=name == state,
            count=format_number(_count(name, counts)),
        )
        for name, word in words.items()
    ]


def _caption(state: str) -> str:
    words = _words()
    return _("Members: %(state)s", state=words[state]) if state else _("All members")


def _line(item: Item) -> Line:
    return Line(
        member_id=item.member_id,
        role=str(ROLES.get(item.role, item.role)),
        state=str(STATES[item.status]),
        tone="good" if item.bound else "",
        due=item.enrolment_due_at,
        locked=item.locked_until,
    )
