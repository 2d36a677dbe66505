"""The tickets that agents work: one with its evidence, and what they do with it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from flask import Response, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from pydantic import ValidationError

from api import answers, guards, ticket_work
from api.pages import staff, typed
from api.pages.event_words import in_words
from api.pages.page import Page
from api.pages.site import Site
from api.pages.ticket_queue import STATUSES, TONES, queue
from api.shapes import ForwardBody, ReasonBody, TicketPath
from api.tickets import sees_agents, ticket_in_full
from api.visits import Visit
from commands.agents import deserted, privileged
from commands.contact import contact_of
from commands.ports import Desk
from domain import unbind_ticket
from domain.member_mfa import MemberMFA
from domain.refusals import Conflict, Forbidden, Malformed, Refusal
from domain.unbind_ticket import OPEN, UnbindTicket
from projections import audit_trail, tickets

Attempt = Callable[[], object]
Work = Callable[[Visit], Page | Response]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What speaks for the request and what against it; never a secret."""

    name: str | None
    address: str | None
    moved_at: datetime | None
    signed_out_at: datetime | None
    failures_day: int
    failures_month: int
    last_failure: datetime | None
    locked_until: datetime | None
    bound_at: datetime | None
    last_used_at: datetime | None
    gone: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that happened to the ticket."""

    time: datetime
    action: str
    who: str | None


def add_to(site: Site) -> None:
    """Add the pages."""
    site.menu("agents.queue", lazy_gettext("Tickets"), "support")
    site.get("/support/tickets", "agents.queue", guards.roles("support"), queue)
    site.get("/support/tickets/<ticket_id>", "agents.ticket", guards.agent_at_ticket, ticket)
    for verb, work in WORK.items():
        rule = f"/support/tickets/<ticket_id>/{verb}"
        guard = guards.agent_unless(unbind_ticket.refuse_requester)
        site.post(rule, f"agents.{verb}", guard, _or_as_it_is_now(work))


def ticket(
    visit: Visit, *, wrong: Mapping[str, str] | None = None, refusal: Refusal | None = None
) -> Page:
    """One ticket with its evidence, and what this agent may do with it."""
    assert visit.ticket is not None
    one, me = visit.ticket, visit.caller.member_id or ""
    member = visit.desk.store.load(MemberMFA, one.member_id)
    two = privileged(visit.desk, member)
    tries = _tries(one, me, member, visit.desk, two=two)
    offered = frozenset(verb for verb, attempt in tries.items() if not _refused(attempt))
    shown = ticket_in_full(visit, one)
    written = {verb: typed.text(f"{verb}_reason") for verb in ("approve", "reject")}
    return Page(
        "staff/ticket.html",
        ticket=one,
        shown=shown,
        state=str(STATUSES[one.status]),
        tone=TONES.get(one.status, ""),
        evidence=_evidence(visit, one, member),
        steps=_steps(visit, one),
        offered=offered,
        instead=None if {"claim", "approve"} & offered else _instead(one, me),
        privileged=two,
        last=shown.approvals + 1 >= shown.approvals_needed,
        agents=_others(visit, one) if "forward" in offered else (),
        myself=me,
        wrong=wrong,
        refusal=refusal,
        written=written,
        left_over=[text for verb, text in written.items() if text and verb not in offered],
    )


def _tries(
    ticket: UnbindTicket, me: str, member: MemberMFA, desk: Desk, *, two: bool
) -> Mapping[str, Attempt]:
    """The steps by name; those that the domain refuses this agent now are not offered."""
    left = deserted(desk, ticket)
    return {
        "claim": lambda: unbind_ticket.claim(ticket, me, deserted=left),
        "approve": lambda: unbind_ticket.approve(ticket, me, member, privileged=two),
        "reject": lambda: unbind_ticket.reject(ticket, me),
        "forward": lambda: unbind_ticket.forward(ticket, me, None),
    }


def _refused(attempt: Attempt) -> bool:
    try:
        attempt()
    except Refusal:
        return True
    return False


def _instead(ticket: UnbindTicket, me: str) -> str:
    """Why this agent can neither claim nor approve."""
    if ticket.status not in OPEN:
        return _("The ticket is closed.")
    if ticket.member_id == me:
        return _("This is your own request: other agents decide on it.")
    if me in ticket.approvers:
        return _("You approved. Another agent has to approve too.")
    return _("Another agent works on this ticket.")


def _evidence(visit: Visit, ticket: UnbindTicket, member: MemberMFA) -> Evidence:
    contact = contact_of(visit.desk.vault, member.id)
    failed = [at for at in member.failed_at if at > visit.at - timedelta(days=30)]
    return Evidence(
        name=contact.name if contact else None,
        address=contact.masked if contact else None,
        moved_at=_since_then(visit, ticket, "mfa.contact_changed"),
        signed_out_at=_since_then(visit, ticket, "mfa.sessions_revoked"),
        failures_day=len([at for at in failed if at > visit.at - timedelta(days=1)]),
        failures_month=len(failed),
        last_failure=max(failed, default=None),
        locked_until=member.locked_until(visit.at),
        bound_at=member.bound_at,
        last_used_at=member.last_used_at,
        gone=member.binding_id != ticket.binding_id,
    )


def _since_then(visit: Visit, ticket: UnbindTicket, type_: str) -> datetime | None:
    """When that happened after the request: what was proven with it may hold no more.

    Another mailbox is the member's, or another password, at whose change hosts end all sessions.
    """
    wanted = audit_trail.Filter(member_id=ticket.member_id, type=type_, since=ticket.submitted_at)
    with visit.backend.reads.connection() as connection:
        rows = audit_trail.page(connection, wanted, limit=1)
    return rows[0].time if rows else None


def _steps(visit: Visit, ticket: UnbindTicket) -> list[Step]:
    """What happened to the ticket, and who did it: a requester sees no agent."""
    wanted = audit_trail.Filter(ticket_id=ticket.id)
    told = sees_agents(visit, ticket)
    with visit.backend.reads.connection() as connection:
        rows = audit_trail.page(connection, wanted, limit=100)
    return [
        Step(
            time=row.time,
            action=in_words(row.type),
            who=(row.data.get("to") or row.actor_id) if told else None,
        )
        for row in rows
        if row.subject == f"ticket/{ticket.id}"
    ]


def _others(visit: Visit, ticket: UnbindTicket) -> list[str]:
    """The agents to whom this ticket can go."""
    everybody = ticket_work.agents(visit, ticket.workspace_id)
    return [each for each in everybody if each not in (visit.caller.member_id, ticket.member_id)]


def _claim(visit: Visit) -> Response:
    done = ticket_work.claim_ticket(visit, _path(visit))
    return _back(visit, done.position, _("The ticket is yours."))


def _forward(visit: Visit) -> Response:
    to = typed.text("to") or None
    try:
        body = ForwardBody(to=to)
    except ValidationError:
        raise Malformed("to: is the id of an agent.") from None
    done = ticket_work.forward_ticket(visit, _path(visit), body)
    said = _("Forwarded to %(agent)s.", agent=to) if to else _("The ticket is in the queue again.")
    return _back(visit, done.position, said)


def _approve(visit: Visit) -> Page | Response:
    reason = _reason("approve_reason")
    if reason is None:
        return ticket(
            visit, wrong={"approve_reason": _("Say why you approve: the member is told.")}
        )
    done = ticket_work.approve_ticket(visit, _path(visit), reason)
    assert isinstance(done.body, answers.Ticket)
    if done.body.status == unbind_ticket.APPROVED:
        return _back(visit, done.position, _("Approved. The authenticator is off."))
    return _back(visit, done.position, _("Your approval is recorded. Another agent decides now."))


def _reject(visit: Visit) -> Page | Response:
    reason = _reason("reject_reason")
    if reason is None:
        return ticket(visit, wrong={"reject_reason": _("Say why you reject: the member is told.")})
    done = ticket_work.reject_ticket(visit, _path(visit), reason)
    return _back(visit, done.position, _("The ticket is rejected. The authenticator stays."))


WORK: dict[str, Work] = {
    "claim": _claim,
    "forward": _forward,
    "approve": _approve,
    "reject": _reject,
}


def _or_as_it_is_now(work: Work) -> Work:
    """Who comes second sees the ticket as the first has left it, and what was typed."""

    def at_ticket(visit: Visit) -> Page | Response:
        assert visit.ticket is not None
        try:
            return work(visit)
        except (Conflict, Forbidden) as refusal:
            now = visit.desk.store.load(UnbindTicket, visit.ticket.id)
            return ticket(replace(visit, ticket=now), refusal=refusal)

    return at_ticket


def _reason(name: str) -> ReasonBody | None:
    try:
        return ReasonBody(reason=typed.text(name))
    except ValidationError:
        return None


def _path(visit: Visit) -> TicketPath:
    assert visit.ticket is not None
    return TicketPath(ticket_id=visit.ticket.id)


def _back(visit: Visit, position: int | None, said: str) -> Response:
    """To the ticket again, once the queue shows what was done."""
    assert visit.ticket is not None
    staff.settle(visit, position, tickets.KEY, audit_trail.KEY)
    return Page.elsewhere(url_for("agents.ticket", ticket_id=visit.ticket.id), said)
