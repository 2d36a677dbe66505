"""A ticket as its requester follows it: number, state, what happens next, and the way out."""

from dataclasses import replace

from flask import Response, g, url_for
from flask_babel import gettext as _

from api.callers import NOBODY, Caller
from api.guards import Guard, cancels_ticket, reads_ticket
from api.pages.page import Page
from api.pages.site import Site
from api.tickets import ticket_in_full
from api.visits import Arguments, Visit
from commands.cancel_ticket import CancelTicket
from domain.refusals import IllegalTransition
from domain.unbind_ticket import OPEN, REJECTED


def add_to(site: Site) -> None:
    """Add the pages."""
    site.get("/tickets/<ticket_id>", "requests.status", _following(reads_ticket), show)
    site.post(
        "/tickets/<ticket_id>/withdrawal", "requests.cancel", _following(cancels_ticket), cancel
    )


def show(visit: Visit) -> Page:
    """How it stands."""
    assert visit.ticket is not None
    shown = ticket_in_full(visit, visit.ticket)
    words, kind, onwards = _state(shown.status, shown.approvals, shown.approvals_needed)
    return Page(
        "tickets/status.html",
        ticket=shown,
        words=words,
        kind=kind,
        onwards=onwards,
        can_cancel=shown.status in OPEN,
        again=shown.status == REJECTED,
    )


def cancel(visit: Visit) -> Response:
    """Withdraw it."""
    assert visit.ticket is not None
    here = url_for("requests.status", ticket_id=visit.ticket.id)
    try:
        visit.run(CancelTicket(ticket_id=visit.ticket.id))
    except IllegalTransition:
        return Page.elsewhere(here, _("The request was closed before. Nothing changed."))
    return Page.elsewhere(here, _("The request is cancelled. Your authenticator stays."))


def _following(guard: Guard) -> Guard:
    """The browser that filed the ticket may do what its ticket token may."""

    def follow(visit: Visit, path: Arguments) -> Visit:
        member_id = (g.browser.noted("tickets") or {}).get(path["ticket_id"])
        own = visit.caller.member_id == member_id and visit.caller is not NOBODY
        if member_id is not None and not own:
            requester = Caller(role="requester", member_id=member_id, ticket_id=path["ticket_id"])
            visit = replace(visit, caller=requester)
        return guard(visit, path)

    return follow


def _state(status: str, given: int, needed: int) -> tuple[str, str, str]:
    """In words, how it looks, and what happens next."""
    return {
        "submitted": (
            _("Waiting for assignment"),
            "warn",
            _("An agent will take your request and check it. You get a mail with the outcome."),
        ),
        "in_review": (
            _("In review"),
            "warn",
            _("An agent is checking your request. You get a mail with the outcome.")
            if not given or given >= needed
            else _("One agent approved. Another one has to approve too; you get a mail then."),
        ),
        "approved": (
            _("Approved"),
            "good",
            _("Your authenticator is off. Log in again; where MFA is enforced you bind anew."),
        ),
        "rejected": (
            _("Rejected"),
            "bad",
            _("Your authenticator stays. Read the reason above; you may file a new request."),
        ),
        "cancelled": (
            _("Cancelled"),
            "",
            _("Your authenticator stays as it is."),
        ),
    }[status]
