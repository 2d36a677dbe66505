"""Tickets to unbind without the device: filing, following and cancelling."""

from api import answers, guards, reading
from api.calls import Answer, Calls
from api.shapes import Query, TicketBody, TicketCodeBody, TicketPath
from api.visits import Visit
from commands.agents import privileged
from commands.cancel_ticket import CancelTicket
from commands.send_ticket_code import SendTicketCode
from commands.submit_ticket import SubmitTicket
from commands.ticket_text import TicketText, reason_of, text_of
from domain.member_mfa import MemberMFA
from domain.unbind_ticket import APPROVED, OPEN, REJECTED, UnbindTicket, needed_now

calls = Calls("Tickets")


@calls.post(
    "/v1/tickets/email-codes",
    guard=guards.asks_for_ticket,
    answers={202: answers.Challenge},
    refuses=("forbidden", "too-many-requests"),
    expects="login",
    optional=True,
)
def send_ticket_code(visit: Visit, body: TicketCodeBody) -> Answer:
    """Mail the code that files a ticket; the answer is the same for everybody."""
    login = visit.caller.login
    sent = visit.run(SendTicketCode(email=body.email, member_id=login.member.id if login else None))
    shown = answers.Challenge(challenge_id=sent.challenge_id, expires_at=sent.expires_at)
    return Answer(status=202, body=shown, position=sent.position)


@calls.post(
    "/v1/tickets",
    guard=guards.asks_for_ticket,
    answers={201: answers.FiledTicket},
    refuses=("forbidden", "not-bound", "ticket-open", "too-many-requests", "code-rejected"),
    expects="login",
    optional=True,
)
def submit_ticket(visit: Visit, body: TicketBody) -> Answer:
    """File a ticket with the mailed code; a login token proves the first factor."""
    filed = visit.run(
        SubmitTicket(
            text=TicketText(body.title, body.description),
            challenge_id=body.challenge_id,
            email_code=body.email_code,
            email=body.email,
            login=visit.caller.login,
        )
    )
    shown = answers.FiledTicket(ticket_id=filed.ticket_id, ticket_token=filed.ticket_token)
    return Answer(status=201, body=shown, position=filed.position)


@calls.get(
    "/v1/tickets/<ticket_id>",
    guard=guards.reads_ticket,
    answers={200: answers.Ticket},
    expects="ticket",
    reads=reading.STORE,
)
def get_ticket(visit: Visit, path: TicketPath, query: Query) -> Answer:
    """The ticket; its requester sees no assignee."""
    ticket = visit.desk.store.load(UnbindTicket, path.ticket_id)
    return Answer(body=ticket_in_full(visit, ticket))


@calls.post(
    "/v1/tickets/<ticket_id>/cancellation",
    guard=guards.cancels_ticket,
    answers={200: answers.Ticket},
    refuses=("illegal-transition",),
    expects="ticket",
)
def cancel_ticket(visit: Visit, path: TicketPath) -> Answer:
    """Withdraw the ticket."""
    done = visit.run(CancelTicket(ticket_id=path.ticket_id))
    return ticket_after(visit, path.ticket_id, done.position)


def ticket_after(visit: Visit, ticket_id: str, position: int) -> Answer:
    """The ticket as the command left it."""
    ticket = visit.desk.store.load(UnbindTicket, ticket_id)
    return Answer(body=ticket_in_full(visit, ticket), position=position)


def ticket_in_full(visit: Visit, ticket: UnbindTicket) -> answers.Ticket:
    """The ticket with as many approvals as are needed now; in a list, those needed at filing."""
    shown = ticket_shown(visit, ticket)
    if ticket.status not in OPEN:
        return shown
    member = visit.desk.store.load(MemberMFA, ticket.member_id)
    needed = needed_now(ticket, privileged=privileged(visit.desk, member))
    return shown.model_copy(update={"approvals_needed": needed})


def ticket_shown(visit: Visit, ticket: UnbindTicket) -> answers.Ticket:
    """What this caller sees of the ticket; its text comes out of the vault."""
    vault = visit.desk.vault
    text = text_of(vault, ticket.member_id, ticket.id)
    decided = ticket.status in (APPROVED, REJECTED)
    to_agent = sees_agents(visit, ticket)
    return answers.Ticket.model_validate(
        {
            "ticket_id": ticket.id,
            "status": ticket.status,
            "title": text.title if text else None,
            "description": text.description if text else None,
            "member_id": ticket.member_id,
            "first_factor_proven": ticket.first_factor_proven,
            "assignee": ticket.assignee if to_agent else None,
            "approvals": len(ticket.approvers),
            "approvals_needed": max(ticket.approvals_needed, len(ticket.approvers)),
            "submitted_at": ticket.submitted_at,
            "decided_at": ticket.decided_at,
            "reason": reason_of(vault, ticket.member_id, ticket.id)
            if decided or to_agent
            else None,
        }
    )


def sees_agents(visit: Visit, ticket: UnbindTicket) -> bool:
    """Whether the caller is told who works the ticket: its requester is not, agent or not."""
    return visit.caller.role == "support" and visit.caller.member_id != ticket.member_id
