"""The request to unbind without the device, worked by agents with one approval or two."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar

from domain.facts import Event, Fact, fact
from domain.member_facts import MFAUnbound, TicketClosed
from domain.member_mfa import MemberMFA
from domain.refusals import Forbidden, IllegalTransition, Malformed, NotBound, TicketOpen
from domain.second_factor import require_bound
from domain.times import EPOCH

SUBMITTED, IN_REVIEW, APPROVED, REJECTED, CANCELLED = (
    "submitted",
    "in_review",
    "approved",
    "rejected",
    "cancelled",
)
OPEN = (SUBMITTED, IN_REVIEW)
RECENT_FIRST_FACTOR = timedelta(hours=24)


@fact("ticket.submitted")
class TicketSubmitted(Fact):
    """A member asked to have the authenticator taken off."""

    member_id: str
    binding_id: str
    first_factor_proven: bool
    approvals_needed: int


@fact("ticket.claimed")
class TicketClaimed(Fact):
    """An agent took the ticket."""

    agent_id: str


@fact("ticket.forwarded")
class TicketForwarded(Fact):
    """The assignee passed the ticket to another agent, or back to the queue where `to` is null."""

    agent_id: str
    to: str | None


@fact("ticket.approval_given")
class ApprovalGiven(Fact):
    """An agent approved."""

    agent_id: str


@fact("ticket.approved")
class TicketApproved(Fact):
    """The last approval needed was given; the authenticator came off in the same append."""


@fact("ticket.rejected")
class TicketRejected(Fact):
    """The assignee declined."""

    agent_id: str


@fact("ticket.cancelled")
class TicketCancelled(Fact):
    """The requester withdrew (`requester`), or the matter was settled (bound, unbound, removed)."""

    cause: str


@dataclass(frozen=True, slots=True)
class UnbindTicket:
    """What the ticket's stream says."""

    kind: ClassVar[str] = "ticket"
    snapshot_version: ClassVar[int] = 1

    id: str
    version: int = 0
    updated_at: datetime = EPOCH
    status: str = ""
    workspace_id: str | None = None
    member_id: str = ""
    binding_id: str = ""
    first_factor_proven: bool = False
    approvals_needed: int = 2
    assignee: str | None = None
    approvers: tuple[str, ...] = ()
    submitted_at: datetime | None = None
    decided_at: datetime | None = None


def approvals_needed(
    *,
    first_factor_proven: bool,
    privileged: bool,
    first_factor_changed_at: datetime | None,
    usual: int,
    at: datetime,
) -> int:
    """Two where the first factor is unproven or fresh, or the member is an owner or agent."""
    fresh = first_factor_changed_at and first_factor_changed_at > at - RECENT_FIRST_FACTOR
    return usual if first_factor_proven and not fresh and not privileged else 2


def submit(member: MemberMFA, *, first_factor_proven: bool, needed: int) -> TicketSubmitted:
    """File the one open ticket that a bound member may have."""
    binding_id = require_bound(member)
    if member.open_ticket:
        raise TicketOpen("A ticket is open already.")
    return TicketSubmitted(
        member_id=member.id,
        binding_id=binding_id,
        first_factor_proven=first_factor_proven,
        approvals_needed=needed,
    )


def claim(ticket: UnbindTicket, agent_id: str, *, deserted: bool = False) -> tuple[Fact, ...]:
    """Take a ticket from the queue, or one whose assignee `deserted` it: is an agent no longer."""
    refuse_requester(ticket, agent_id)
    if ticket.status != SUBMITTED and not (ticket.status == IN_REVIEW and deserted):
        raise IllegalTransition("The ticket is not waiting to be claimed.")
    return (TicketClaimed(agent_id=agent_id),)


def forward(
    ticket: UnbindTicket, agent_id: str, to: str | None, *, known: bool = True
) -> tuple[Fact, ...]:
    """Pass the ticket on; `to` is a `known` agent, or None for the queue."""
    refuse_other_agent(ticket, agent_id)
    if not known:
        raise Malformed("No such agent.")
    refuse_requester(ticket, to)
    _require_in_review(ticket)
    return (TicketForwarded(agent_id=agent_id, to=to),)


def reject(ticket: UnbindTicket, agent_id: str) -> tuple[Fact, ...]:
    """Decline."""
    refuse_other_agent(ticket, agent_id)
    _require_in_review(ticket)
    return (TicketRejected(agent_id=agent_id),)


def needed_now(ticket: UnbindTicket, *, privileged: bool) -> int:
    """As many approvals as at filing; two where the member is an owner or agent by now, or was.

    An approval that left the ticket open was one of two.
    """
    return max(ticket.approvals_needed, 2 if privileged or ticket.approvers else 1)


def approve(
    ticket: UnbindTicket, agent_id: str, member: MemberMFA, *, privileged: bool
) -> tuple[Fact, ...]:
    """Give an approval: the first by the assignee, the second by any other agent."""
    refuse_approver(ticket, agent_id)
    if ticket.status in (*OPEN, CANCELLED):
        _refuse_stale(ticket, member)
    _require_in_review(ticket)
    given = ApprovalGiven(agent_id=agent_id)
    enough = len(ticket.approvers) + 1 >= needed_now(ticket, privileged=privileged)
    return (given, TicketApproved()) if enough else (given,)


def unbind(ticket: UnbindTicket, member: MemberMFA) -> tuple[Fact, ...]:
    """The member's side of an approved ticket, for the same append."""
    _refuse_stale(ticket, member)
    return (
        MFAUnbound(binding_id=ticket.binding_id, method="ticket", ticket_id=ticket.id),
        TicketClosed(ticket_id=ticket.id, status=APPROVED),
    )


def cancel(ticket: UnbindTicket, cause: str = "requester") -> tuple[Fact, ...]:
    """Withdraw an open ticket."""
    if ticket.status not in OPEN:
        raise IllegalTransition("The ticket is closed.")
    return (TicketCancelled(cause=cause),)


def close_ticket(member: MemberMFA, status: str) -> tuple[TicketClosed, ...]:
    """The fact that the member's open ticket, where there is one, is over."""
    if member.open_ticket is None:
        return ()
    return (TicketClosed(ticket_id=member.open_ticket, status=status),)


def evolve(ticket: UnbindTicket, event: Event) -> UnbindTicket:
    """The ticket after `event`."""
    after = replace(ticket, version=event.version, updated_at=event.at)
    match event.fact:
        case TicketSubmitted() as filed:
            return replace(
                after,
                status=SUBMITTED,
                workspace_id=event.workspace_id,
                member_id=filed.member_id,
                binding_id=filed.binding_id,
                first_factor_proven=filed.first_factor_proven,
                approvals_needed=filed.approvals_needed,
                submitted_at=event.at,
            )
        case TicketClaimed(agent_id=agent_id):
            return replace(after, status=IN_REVIEW, assignee=agent_id)
        case TicketForwarded(to=to):
            return replace(after, status=IN_REVIEW if to else SUBMITTED, assignee=to)
        case ApprovalGiven(agent_id=agent_id):
            return replace(after, approvers=(*after.approvers, agent_id))
        case TicketApproved():
            return replace(after, status=APPROVED, decided_at=event.at)
        case TicketRejected():
            return replace(after, status=REJECTED, decided_at=event.at)
        case TicketCancelled():
            return replace(after, status=CANCELLED, decided_at=event.at)
    return after


def _require_in_review(ticket: UnbindTicket) -> None:
    if ticket.status != IN_REVIEW:
        raise IllegalTransition("The ticket is not in review.")


def refuse_other_agent(ticket: UnbindTicket, agent_id: str | None) -> None:
    """Refuse the requester, and whoever is not the one agent to whom the ticket is assigned."""
    refuse_requester(ticket, agent_id)
    if ticket.assignee not in (None, agent_id):
        raise Forbidden("The ticket is assigned to another agent.")


def refuse_requester(ticket: UnbindTicket, agent_id: str | None) -> None:
    """Refuse the member whose ticket it is."""
    if agent_id == ticket.member_id:
        raise Forbidden("Nobody works their own ticket.")


def refuse_approver(ticket: UnbindTicket, agent_id: str | None) -> None:
    """In review: refuse all but the assignee first, and whoever approved already."""
    refuse_requester(ticket, agent_id)
    if ticket.status != IN_REVIEW:
        return
    if agent_id in ticket.approvers:
        raise Forbidden("Approvals come from different agents.")
    if not ticket.approvers:
        refuse_other_agent(ticket, agent_id)


def _refuse_stale(ticket: UnbindTicket, member: MemberMFA) -> None:
    """A ticket takes off the authenticator it was filed for, and no other."""
    if member.binding_id != ticket.binding_id:
        raise NotBound("The authenticator that the ticket was filed for is gone.")
