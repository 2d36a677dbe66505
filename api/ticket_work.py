"""How agents work tickets: the queue, claims, approvals and rejections."""

from api import answers, guards, reading
from api.calls import Answer, Calls
from api.shapes import ForwardBody, PageQuery, QueueQuery, ReasonBody, TicketPath
from api.tickets import ticket_after, ticket_shown
from api.visits import Visit
from commands.agents import in_scope, token_agents
from commands.approve_ticket import ApproveTicket
from commands.claim_ticket import ClaimTicket
from commands.forward_ticket import ForwardTicket
from commands.reject_ticket import RejectTicket
from domain.refusals import Unreadable
from domain.unbind_ticket import (
    UnbindTicket,
    refuse_approver,
    refuse_other_agent,
    refuse_requester,
)
from projections import coverage, standing, tickets

calls = Calls("Support")


@calls.get(
    "/v1/tickets",
    guard=guards.roles("support"),
    answers={200: answers.Tickets},
    reads=tickets.KEY,
)
def list_tickets(visit: Visit, query: QueueQuery) -> Answer:
    """The queue, oldest first."""
    me = visit.caller.member_id if query.assignee else None
    asked = (query.status,) if query.status else ()
    paging = reading.paging(visit.backend, query, "tickets", me)
    after, found = paging.after_number(), list[tickets.Row]()
    with visit.backend.reads.connection() as connection:
        while len(found) < paging.wanted:
            rows = tickets.queue(
                connection, statuses=asked, assignee=me, after=after, limit=paging.wanted
            )
            found.extend(row for row in rows if _is_shown(visit, row.ticket))
            if len(rows) < paging.wanted:
                break
            after = rows[-1].place
    page, cursor = paging.cut(found, lambda row: row.place)
    shown = answers.Tickets(
        items=[ticket_shown(visit, row.ticket) for row in page], next_cursor=cursor
    )
    return Answer(body=shown)


@calls.post(
    "/v1/tickets/<ticket_id>/claim",
    guard=guards.agent_unless(refuse_requester),
    answers={200: answers.Ticket},
    refuses=("illegal-transition",),
)
def claim_ticket(visit: Visit, path: TicketPath) -> Answer:
    """Take the ticket from the queue."""
    done = visit.run(ClaimTicket(ticket_id=path.ticket_id, agent_id=_agent(visit)))
    return ticket_after(visit, path.ticket_id, done.position)


@calls.post(
    "/v1/tickets/<ticket_id>/forward",
    guard=guards.agent_unless(refuse_other_agent),
    answers={200: answers.Ticket},
    refuses=("illegal-transition",),
)
def forward_ticket(visit: Visit, path: TicketPath, body: ForwardBody) -> Answer:
    """Pass the ticket to another agent, or back to the queue."""
    done = visit.run(ForwardTicket(ticket_id=path.ticket_id, agent_id=_agent(visit), to=body.to))
    return ticket_after(visit, path.ticket_id, done.position)


@calls.post(
    "/v1/tickets/<ticket_id>/approve",
    guard=guards.agent_unless(refuse_approver),
    answers={200: answers.Ticket},
    refuses=("illegal-transition", "not-bound"),
)
def approve_ticket(visit: Visit, path: TicketPath, body: ReasonBody) -> Answer:
    """Approve; the last approval needed takes the authenticator off."""
    done = visit.run(
        ApproveTicket(ticket_id=path.ticket_id, agent_id=_agent(visit), reason=body.reason)
    )
    return ticket_after(visit, path.ticket_id, done.position)


@calls.post(
    "/v1/tickets/<ticket_id>/reject",
    guard=guards.agent_unless(refuse_other_agent),
    answers={200: answers.Ticket},
    refuses=("illegal-transition",),
)
def reject_ticket(visit: Visit, path: TicketPath, body: ReasonBody) -> Answer:
    """Decline; the requester is told the reason."""
    done = visit.run(
        RejectTicket(ticket_id=path.ticket_id, agent_id=_agent(visit), reason=body.reason)
    )
    return ticket_after(visit, path.ticket_id, done.position)


@calls.get(
    "/v1/agents",
    guard=guards.roles("support"),
    answers={200: answers.Agents},
    reads=standing.KEY,
)
def list_agents(visit: Visit, query: PageQuery) -> Answer:
    """The member ids to which tickets can be forwarded."""
    paging = reading.paging(visit.backend, query, "agents")
    after = paging.after_text()
    found = [agent for agent in agents(visit, visit.caller.scope) if agent > after][: paging.wanted]
    page, cursor = paging.cut(found, lambda agent: agent)
    return Answer(body=answers.Agents(items=list(page), next_cursor=cursor))


def agents(visit: Visit, within: str | None) -> list[str]:
    """The member ids of everybody who works tickets of a workspace, or any, sorted."""
    return sorted(token_agents(visit.desk, within) | _staff(visit))


def _is_shown(visit: Visit, ticket: UnbindTicket) -> bool:
    """Whether the caller sees the ticket; where nobody can tell, the others are shown."""
    try:
        return in_scope(visit.desk, visit.caller.scope, ticket)
    except Unreadable:
        return False


def _agent(visit: Visit) -> str:
    assert visit.caller.member_id is not None
    return visit.caller.member_id


def _staff(visit: Visit) -> frozenset[str]:
    """Members of the staff workspace with the role support."""
    staff = visit.desk.rules.staff_workspace
    if staff is None:
        return frozenset()
    members = coverage.every_item(visit.backend.reads, staff, visit.at)
    return frozenset(member.member_id for member in members if member.role == "support")
