"""Tickets to unbind without the device: who may do what in which status, and what comes of it."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from domain import unbind_ticket
from domain.facts import Fact
from domain.member_facts import MFABound, MFAUnbound, TicketClosed, TicketOpened
from domain.member_mfa import MemberMFA
from domain.refusals import Forbidden, IllegalTransition, NotBound, TicketOpen
from domain.unbind_ticket import (
    APPROVED,
    CANCELLED,
    IN_REVIEW,
    REJECTED,
    SUBMITTED,
    ApprovalGiven,
    TicketApproved,
    TicketCancelled,
    TicketClaimed,
    TicketForwarded,
    TicketRejected,
    TicketSubmitted,
    approvals_needed,
)
from tests.rules.scenario import (
    NOON,
    Answer,
    Member,
    OfMember,
    OfTicket,
    Ticket,
    a_bound_member,
    a_member,
    a_ticket,
)

REQUESTER = "m1"
CLAIMED = TicketClaimed(agent_id="a1")
UNTIL: dict[str, tuple[Fact, ...]] = {
    SUBMITTED: (),
    IN_REVIEW: (CLAIMED,),
    APPROVED: (CLAIMED, ApprovalGiven(agent_id="a1"), TicketApproved()),
    REJECTED: (CLAIMED, TicketRejected(agent_id="a1")),
    CANCELLED: (CLAIMED, TicketCancelled(cause="requester")),
}


def claim(agent: str = "a1", *, deserted: bool = False) -> OfTicket:
    """Take it from the queue."""
    return lambda ticket, at: unbind_ticket.claim(ticket, agent, deserted=deserted)


def forward(agent: str = "a1", to: str | None = None) -> OfTicket:
    """Pass it on."""
    return lambda ticket, at: unbind_ticket.forward(ticket, agent, to)


def approve(
    agent: str = "a1", requester: Member | None = None, *, privileged: bool = False
) -> OfTicket:
    """Approve it, for a requester who is still bound or for this one."""
    member = (requester or a_bound_member()).state
    return lambda ticket, at: unbind_ticket.approve(ticket, agent, member, privileged=privileged)


def reject(agent: str = "a1") -> OfTicket:
    """Decline it."""
    return lambda ticket, at: unbind_ticket.reject(ticket, agent)


def cancel(cause: str = "requester") -> OfTicket:
    """Withdraw it."""
    return lambda ticket, at: unbind_ticket.cancel(ticket, cause)


STEPS: dict[str, tuple[OfTicket, dict[str, str]]] = {
    "claim": (claim(), {SUBMITTED: IN_REVIEW}),
    "forward": (forward(to="a2"), {IN_REVIEW: IN_REVIEW}),
    "return": (forward(to=None), {IN_REVIEW: SUBMITTED}),
    "approve": (approve(), {IN_REVIEW: APPROVED}),
    "reject": (reject(), {IN_REVIEW: REJECTED}),
    "cancel": (cancel(), {SUBMITTED: CANCELLED, IN_REVIEW: CANCELLED}),
}


def a_ticket_in(status: str) -> Ticket:
    """A ticket of one approval in that status; a1 claimed it, where it was claimed."""
    return a_ticket(1, *UNTIL[status])


@pytest.mark.parametrize("status", UNTIL)
@pytest.mark.parametrize("step", STEPS)
def test_every_step_in_every_status(status: str, step: str) -> None:
    ask, leads = STEPS[step]
    ticket = a_ticket_in(status).later(hours=1).when(ask)
    assert ticket.state.status == leads.get(status, status)
    if status in leads:
        assert ticket.refusal is None
    else:
        ticket.then_refused(IllegalTransition)


@pytest.mark.parametrize("status", UNTIL)
def test_only_a_closed_ticket_says_when_it_was_decided(status: str) -> None:
    ticket = a_ticket_in(status).state
    assert ticket.decided_at == (None if status in (SUBMITTED, IN_REVIEW) else NOON)
    assert ticket.submitted_at == NOON


@pytest.mark.parametrize("step", [claim, forward, approve, reject])
@pytest.mark.parametrize("status", UNTIL)
def test_the_requester_works_no_ticket_in_person(
    step: Callable[[str], OfTicket], status: str
) -> None:
    a_ticket_in(status).when(step(REQUESTER)).then_refused(Forbidden)


@pytest.mark.parametrize("step", [forward, approve, reject])
def test_the_assignee_works_the_ticket(step: Callable[[str], OfTicket]) -> None:
    a_ticket_in(IN_REVIEW).when(step("a2")).then_refused(Forbidden)


@pytest.mark.parametrize("step", [forward, reject])
@pytest.mark.parametrize("status", [APPROVED, REJECTED])
def test_another_agents_ticket_stays_anothers_when_it_is_decided(
    step: Callable[[str], OfTicket], status: str
) -> None:
    a_ticket_in(status).when(step("a2")).then_refused(Forbidden)


def test_a_claimed_ticket_is_claimed_by_nobody_else() -> None:
    a_ticket_in(IN_REVIEW).when(claim("a2")).then_refused(IllegalTransition)


def test_a_ticket_whose_assignee_left_is_claimed_anew() -> None:
    anew = claim("a2", deserted=True)
    a_ticket_in(IN_REVIEW).when(anew).then(TicketClaimed(agent_id="a2"))
    a_ticket_in(REJECTED).when(anew).then_refused(IllegalTransition)


def test_one_approval_decides() -> None:
    ticket = a_ticket_in(IN_REVIEW).when(approve())
    ticket.then(ApprovalGiven(agent_id="a1"), TicketApproved())


def test_two_approvals_come_from_the_assignee_and_any_other_agent() -> None:
    ticket = a_ticket(2, CLAIMED).when(approve("a1")).then(ApprovalGiven(agent_id="a1"))
    assert ticket.state.status == IN_REVIEW
    ticket.when(approve("a1")).then_refused(Forbidden)
    ticket.when(approve(REQUESTER)).then_refused(Forbidden)
    ticket.when(approve("a2")).then(ApprovalGiven(agent_id="a2"), TicketApproved())
    assert (ticket.state.status, ticket.state.approvers) == (APPROVED, ("a1", "a2"))


def test_who_became_an_owner_or_agent_since_filing_needs_two() -> None:
    ticket = a_ticket_in(IN_REVIEW).when(approve("a1", privileged=True))
    ticket.then(ApprovalGiven(agent_id="a1"))
    ticket.when(approve("a2", privileged=True)).then(ApprovalGiven, TicketApproved)


def test_the_first_of_two_is_the_assignees() -> None:
    a_ticket(2, CLAIMED).when(approve("a2")).then_refused(Forbidden)


def test_after_one_of_two_approvals_the_assignee_still_may_decline() -> None:
    ticket = a_ticket(2, CLAIMED).when(approve("a1"))
    ticket.when(reject("a2")).then_refused(Forbidden)
    ticket.when(reject("a1")).then(TicketRejected(agent_id="a1"))


def test_a_forwarded_ticket_is_anothers() -> None:
    ticket = a_ticket_in(IN_REVIEW).when(forward(to="a2"))
    ticket.then(TicketForwarded(agent_id="a1", to="a2"))
    ticket.when(approve("a1")).then_refused(Forbidden)
    ticket.when(approve("a2")).then(ApprovalGiven, TicketApproved)


def test_a_ticket_goes_back_to_the_queue_and_keeps_its_approval() -> None:
    ticket = a_ticket(2, CLAIMED).when(approve("a1")).when(forward(to=None))
    assert (ticket.state.status, ticket.state.assignee) == (SUBMITTED, None)
    ticket.when(approve("a2")).then_refused(IllegalTransition)
    ticket.when(claim("a2")).when(approve("a1")).then_refused(Forbidden)
    ticket.when(approve("a2")).then(ApprovalGiven, TicketApproved)


def test_a_ticket_is_not_forwarded_to_its_requester() -> None:
    a_ticket_in(IN_REVIEW).when(forward(to=REQUESTER)).then_refused(Forbidden)


NEEDED = [
    # proven, privileged, hours since the first factor changed, usual, needed
    (True, False, None, 1, 1),
    (True, False, None, 2, 2),
    (False, False, None, 1, 2),
    (False, False, None, 2, 2),
    (True, True, None, 1, 2),
    (True, False, 0, 1, 2),
    (True, False, 23.9, 1, 2),
    (True, False, 24, 1, 1),
    (True, False, 48, 1, 1),
    (True, False, -1, 1, 2),
    (True, False, 48, 2, 2),
]


@pytest.mark.parametrize(("proven", "privileged", "hours", "usual", "needed"), NEEDED)
def test_how_many_approvals(
    proven: bool, privileged: bool, hours: float | None, usual: int, needed: int
) -> None:
    changed_at = None if hours is None else NOON - timedelta(hours=hours)
    assert needed == approvals_needed(
        first_factor_proven=proven,
        privileged=privileged,
        first_factor_changed_at=changed_at,
        usual=usual,
        at=NOON,
    )


def submit(*, proven: bool = True, needed: int = 1) -> OfMember:
    """File a ticket."""

    def ask(member: MemberMFA, at: datetime) -> Answer:
        filed = unbind_ticket.submit(member, first_factor_proven=proven, needed=needed)
        return (filed, TicketOpened(ticket_id="t1"))

    return ask


@pytest.mark.parametrize(("proven", "needed"), [(True, 1), (False, 2)])
def test_a_bound_member_files_a_ticket_for_the_binding(proven: bool, needed: int) -> None:
    member = a_bound_member().when(submit(proven=proven, needed=needed))
    filed = TicketSubmitted(
        member_id="m1", binding_id="b1", first_factor_proven=proven, approvals_needed=needed
    )
    member.then(filed, TicketOpened(ticket_id="t1"))


def test_one_open_ticket_per_member() -> None:
    member = a_bound_member().when(submit()).when(submit()).then_refused(TicketOpen)
    member.given(TicketClosed(ticket_id="t1", status=REJECTED)).when(submit())
    member.then(TicketSubmitted, TicketOpened)


def test_who_is_not_bound_files_none() -> None:
    a_member().when(submit()).then_refused(NotBound)


def test_an_approved_ticket_takes_the_authenticator_off() -> None:
    member, ticket = a_bound_member(TicketOpened(ticket_id="t1")), a_ticket_in(IN_REVIEW)
    before = member.state
    member.when(lambda state, at: unbind_ticket.unbind(ticket.state, state))
    member.then(
        MFAUnbound(binding_id="b1", method="ticket", ticket_id="t1"),
        TicketClosed(ticket_id="t1", status=APPROVED),
    )
    after = member.state
    assert (after.bound, after.open_ticket, after.epoch) == (False, None, before.epoch + 1)


@pytest.mark.parametrize("newer", [(), ("b2",)], ids=["unbound", "bound anew"])
def test_a_ticket_takes_off_no_other_authenticator(newer: tuple[str, ...]) -> None:
    member = a_bound_member(MFAUnbound(binding_id="b1", method="self", ticket_id=None))
    for binding in newer:
        member.given(MFABound(binding_id=binding, step=1, workspace_id=None, login_id=None))
    ticket = a_ticket_in(IN_REVIEW)
    member.when(lambda state, at: unbind_ticket.unbind(ticket.state, state)).then_refused(NotBound)
    for status, refused in (
        (SUBMITTED, NotBound),
        (IN_REVIEW, NotBound),
        (CANCELLED, NotBound),
        (APPROVED, IllegalTransition),
        (REJECTED, IllegalTransition),
    ):
        a_ticket_in(status).when(approve("a1", member)).then_refused(refused)
    a_ticket_in(IN_REVIEW).when(approve(REQUESTER, member)).then_refused(Forbidden)
