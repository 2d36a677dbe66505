"""The agents' queue: the tickets that there are, a page at a time."""

from dataclasses import dataclass
from datetime import timedelta

from flask import url_for
from flask_babel import format_timedelta, lazy_gettext
from flask_babel import gettext as _

from api.pages import staff
from api.pages.page import Page
from api.tickets import sees_agents
from api.visits import Visit
from commands.ticket_text import text_of
from domain.unbind_ticket import OPEN, UnbindTicket
from projections import tickets

PAGE = 50
STATUSES = {
    "submitted": lazy_gettext("Waiting for assignment"),
    "in_review": lazy_gettext("In review"),
    "approved": lazy_gettext("Approved"),
    "rejected": lazy_gettext("Rejected"),
    "cancelled": lazy_gettext("Cancelled"),
}
TONES = {"submitted": "warn", "approved": "good", "rejected": "bad"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A ticket in the queue."""

    ticket: UnbindTicket
    href: str
    title: str | None
    state: str
    tone: str
    assignee: str | None
    age: str


def queue(visit: Visit) -> Page:
    """The tickets, oldest first; open ones unless others are asked for."""
    chosen = staff.one_of("show", ("open", "mine", "all"))
    after = staff.number("after")
    with visit.backend.reads.connection() as connection:
        found = tickets.queue(
            connection,
            statuses=() if chosen == "all" else OPEN,
            assignee=visit.caller.member_id if chosen == "mine" else None,
            after=after,
            limit=PAGE + 1,
        )
    lines, rest = found[:PAGE], found[PAGE:]
    return Page(
        "staff/tickets.html",
        choices=_choices(chosen),
        caption=CAPTIONS[chosen],
        empty=EMPTY[chosen],
        myself=visit.caller.member_id,
        lines=[_line(visit, row.ticket) for row in lines],
        first=url_for("agents.queue", show=chosen) if after else None,
        next=url_for("agents.queue", show=chosen, after=lines[-1].place) if rest else None,
    )


CAPTIONS = {
    "open": lazy_gettext("Open tickets, the oldest first"),
    "mine": lazy_gettext("Open tickets assigned to you, the oldest first"),
    "all": lazy_gettext("All tickets, the oldest first"),
}
EMPTY = {
    "open": lazy_gettext("No ticket is open. Well done."),
    "mine": lazy_gettext("No open ticket is assigned to you."),
    "all": lazy_gettext("There is no ticket yet."),
}


def _choices(chosen: str) -> list[staff.Chip]:
    words = {"open": _("Open"), "mine": _("Mine"), "all": _("All")}
    return [
        staff.Chip(text=text, href=url_for("agents.queue", show=name), chosen=name == chosen)
        for name, text in words.items()
    ]


def _line(visit: Visit, ticket: UnbindTicket) -> Line:
    text = text_of(visit.desk.vault, ticket.member_id, ticket.id)
    age = visit.at - (ticket.submitted_at or visit.at)
    return Line(
        ticket=ticket,
        href=url_for("agents.ticket", ticket_id=ticket.id),
        title=text.title if text else None,
        state=str(STATUSES[ticket.status]),
        tone=TONES.get(ticket.status, ""),
        assignee=ticket.assignee if sees_agents(visit, ticket) else None,
        age=format_timedelta(max(age, timedelta()), threshold=1.5),
    )
