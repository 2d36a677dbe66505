"""A member, a workspace and tickets against the model, on paths that hypothesis makes up."""

from datetime import timedelta
from functools import reduce
from itertools import pairwise

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from domain import membership, totp, unbind_ticket, workspace
from domain.entry import due
from domain.facts import Fact
from domain.member_facts import (
    CodeAccepted,
    ContactChanged,
    MFABound,
    MFAUnbound,
    RecoveryCodeSpent,
    Registered,
    TicketOpened,
)
from domain.member_mfa import MemberMFA
from domain.unbind_ticket import OPEN, TicketApproved, UnbindTicket
from domain.workspace import Workspace, WorkspaceCreated, set_policy
from tests.rules.model import DAY, HOUR, MINUTE, Model
from tests.rules.scenario import (
    NOON,
    RECOVERY,
    SECRET,
    Member,
    Scenario,
    Ticket,
    a_member,
    ask_email_code,
    bind,
    code,
    enrol,
    recovery,
    wrong_code,
)

AGENTS = ("a1", "a2", "m1")


class Twins(RuleBasedStateMachine):
    """Every decision is asked of both, and both must agree on answer and state."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.member: Member = a_member(Registered())
        self.workspace = Scenario(Workspace("w1"), workspace.evolve).given(WorkspaceCreated())
        self.tickets: dict[str, Ticket] = {}
        self.number = 0

    @initialize(bound=st.booleans())
    def begin(self, bound: bool) -> None:
        """Half of the paths begin with an authenticator."""
        if bound:
            self.ask_for_mail()
            self.open_the_enrolment()
            self.bind_it(right=True)

    def new_id(self) -> str:
        """An id not used before."""
        self.number += 1
        return f"id{self.number}"

    def said(self) -> str:
        """What the member's newest decision was, in a word."""
        refusal = self.member.refusal
        self.model.now = max(self.model.now, self.member.state.updated_at)
        return refusal.slug if refusal else "granted"

    @property
    def ticket(self) -> Ticket:
        """The open ticket."""
        assert self.model.ticket is not None
        return self.tickets[self.model.ticket]

    @rule(span=st.sampled_from([MINUTE / 2, MINUTE, 15 * MINUTE, HOUR, DAY, 31 * DAY, -HOUR]))
    def time_goes_by(self, span: timedelta) -> None:
        """Or the clock goes back: the member's own never reads earlier than its last event."""
        self.member.now += span
        self.model.now = max(self.member.now, self.member.state.updated_at)

    @rule()
    def ask_for_mail(self) -> None:
        model, challenge = self.model, self.new_id()
        budget = ((MINUTE, 1), (HOUR, 5), (DAY, 10))
        full = any(sum(t > model.now - span for t in model.mails) >= n for span, n in budget)
        expected = "already-bound" if model.bound else "too-many-requests" if full else "granted"
        self.member.when(ask_email_code("bind", challenge))
        assert self.said() == expected
        if expected == "granted":
            model.mails.append(model.now)
            model.mailed = (challenge, model.now + 10 * MINUTE)

    @precondition(lambda self: self.model.mailed)
    @rule()
    def open_the_enrolment(self) -> None:
        model = self.model
        assert model.mailed is not None
        challenge, until = model.mailed
        live = until > model.now
        self.member.when(enrol(self.new_id(), made_for=challenge))
        assert self.said() == (
            "already-bound" if model.bound else "granted" if live else "code-rejected"
        )
        if live and not model.bound:
            model.mailed, model.enrolling_until = None, model.now + 10 * MINUTE

    @rule(right=st.booleans())
    def bind_it(self, right: bool) -> None:
        model, now = self.model, self.member.state.clock(self.member.now)
        entered = totp.code_for(SECRET, totp.step_at(now)) if right else "wrong"
        self.member.when(bind(entered))
        said = self.said()
        if model.bound:
            assert said == "already-bound"
        elif model.enrolling_until <= model.now:
            assert said == "illegal-transition"
        elif model.locked_until():
            assert said == "locked"
        elif not right:
            assert said == "code-rejected"
            model.fail()
        else:
            assert said == "granted"
            model.bound, model.last_step = True, int(model.now.timestamp()) // 30
            model.recovery_left, model.epoch = set(range(10)), model.epoch + 1
            model.enrolling_until = NOON
            model.succeed()

    @rule()
    def the_address_changes(self) -> None:
        model = self.model
        self.member.given(ContactChanged())
        model.now = max(model.now, self.member.state.updated_at)
        model.enrolling_until = NOON
        if model.mailed:
            model.mailed = (model.mailed[0], NOON)

    @rule(offset=st.integers(-3, 3), purpose=st.sampled_from(["login", "unbind", "policy"]))
    def enter_a_code(self, offset: int, purpose: str) -> None:
        step = int(self.model.now.timestamp()) // 30 + offset
        self.member.when(code(step, purpose=purpose))
        assert self.said() == self.model.code(step)
        if purpose == "unbind" and self.said() == "granted":
            self._unbound("self")

    @rule(times=st.sampled_from([1, 4, 17, 50]))
    def fail(self, times: int) -> None:
        for _ in range(times):
            if self.model.bound and (until := self.model.locked_until()):
                self.member.now = self.model.now = until
            self.member.when(wrong_code())
            assert self.said() == self.model.code(-9)

    @rule(index=st.none() | st.integers(0, 1), times=st.sampled_from([1, 2, 6]))
    def enter_recovery_codes(self, index: int | None, times: int) -> None:
        for _ in range(times):
            self.enter_a_recovery_code(index, "login")

    @rule(index=st.integers(0, 9), purpose=st.sampled_from(["login", "unbind"]))
    def enter_a_recovery_code(self, index: int | None, purpose: str) -> None:
        entered = "ZZZZ-ZZZZ-ZZZZ-ZZZZ" if index is None else RECOVERY[index]
        self.member.when(recovery(entered, purpose=purpose))
        assert self.said() == self.model.recovery(index)
        if purpose == "unbind" and self.said() == "granted":
            self._unbound("recovery_code")

    def _unbound(self, method: str) -> None:
        """What the command appends together with the code that was spent on unbinding."""
        binding = self.member.state.binding_id
        assert binding is not None
        if self.model.ticket:
            self.ticket.when(lambda ticket, at: unbind_ticket.cancel(ticket, "unbound")).then(
                unbind_ticket.TicketCancelled(cause="unbound")
            )
        self.member.given(
            MFAUnbound(binding_id=binding, method=method, ticket_id=None),
            *unbind_ticket.close_ticket(self.member.state, unbind_ticket.CANCELLED),
        )
        self.model.unbind(by_ticket=False)

    @rule()
    def revoke(self) -> None:
        self.member.when(lambda member, at: membership.revoke_sessions(member))
        self.said()
        self.model.epoch += 1

    @rule(needed=st.sampled_from([1, 2]))
    def submit(self, needed: int) -> None:
        id_ = self.new_id()
        self.member.when(
            lambda member, at: unbind_ticket.submit(member, first_factor_proven=True, needed=needed)
        )
        said = self.said()
        assert said == (
            "ticket-open" if self.model.ticket else "granted" if self.model.bound else "not-bound"
        )
        if said == "granted":
            ticket = Scenario(UnbindTicket(id_), unbind_ticket.evolve)
            self.tickets[id_] = ticket.given(*self.member.facts)
            self.member.given(TicketOpened(ticket_id=id_))
            self.model.ticket = id_

    @precondition(lambda self: self.model.ticket)
    @rule(agent=st.sampled_from(AGENTS), to=st.sampled_from([None, "a1", "a2"]))
    def work_the_ticket(self, agent: str, to: str | None) -> None:
        before = self.ticket.state
        if before.assignee is None:
            self.ticket.when(lambda ticket, at: unbind_ticket.claim(ticket, agent))
            assert (self.ticket.refusal is None) == (agent != "m1")
        else:
            self.ticket.when(lambda ticket, at: unbind_ticket.forward(ticket, agent, to))
            assert (self.ticket.refusal is None) == (agent == before.assignee)

    @precondition(lambda self: self.model.ticket)
    @rule(agent=st.sampled_from(AGENTS), privileged=st.booleans())
    def approve(self, agent: str, privileged: bool) -> None:
        before, ticket = self.ticket.state, self.ticket
        member = self.member.state
        ticket.when(
            lambda state, at: unbind_ticket.approve(state, agent, member, privileged=privileged)
        )
        first = not before.approvers and agent == before.assignee
        second = bool(before.approvers) and agent not in before.approvers
        fits = before.assignee is not None and agent != "m1" and (first or second)
        assert (ticket.refusal is None) == fits
        needed = max(before.approvals_needed, 2 if privileged or before.approvers else 1)
        decided = len(before.approvers) + 1 == needed
        assert any(isinstance(f, TicketApproved) for f in ticket.facts) == (fits and decided)
        if fits and decided:
            self.member.when(lambda state, at: unbind_ticket.unbind(ticket.state, state))
            assert self.said() == "granted"
            self.model.unbind(by_ticket=True)

    @precondition(lambda self: self.model.ticket)
    @rule(agent=st.sampled_from(AGENTS), declined=st.booleans())
    def end_the_ticket(self, agent: str, declined: bool) -> None:
        before = self.ticket.state
        if declined:
            self.ticket.when(lambda ticket, at: unbind_ticket.reject(ticket, agent))
            assert (self.ticket.refusal is None) == (agent == before.assignee)
        else:
            self.ticket.when(lambda ticket, at: unbind_ticket.cancel(ticket)).then(
                unbind_ticket.TicketCancelled(cause="requester")
            )
        if self.ticket.refusal is None:
            status = self.ticket.state.status
            self.member.given(*unbind_ticket.close_ticket(self.member.state, status))
            self.said()
            self.model.ticket = None

    @rule(mode=st.sampled_from(["off", "enforced"]))
    def set_the_policy(self, mode: str) -> None:
        self.workspace.when(lambda state, at: set_policy(state, mode, None, at))

    @invariant()
    def both_agree(self) -> None:
        state, model = self.member.state, self.model
        until = model.locked_until()
        assert (state.bound, state.epoch, state.open_ticket) == (
            model.bound,
            model.epoch,
            model.ticket,
        )
        assert state.locked_until(model.now) == until
        enforced = self.workspace.state.mode == "enforced"
        assert due(state, self.workspace.state, self.member.now).decision == (
            "granted"
            if not (model.bound or enforced)
            else "locked"
            if until
            else "code_required"
            if model.bound
            else "enrolment_required"
        )

    @invariant()
    def no_step_and_no_recovery_code_is_accepted_twice(self) -> None:
        facts = [event.fact for event in self.member.history]
        steps = [(f.binding_id, f.step) for f in facts if isinstance(f, MFABound | CodeAccepted)]
        for (binding, step), (next_binding, next_step) in pairwise(steps):
            assert binding != next_binding or step < next_step
        spent = [
            (number, f.index)
            for number, bound in enumerate(_by_binding(facts))
            for f in bound
            if isinstance(f, RecoveryCodeSpent)
        ]
        assert len(spent) == len(set(spent))

    @invariant()
    def at_most_one_ticket_is_open(self) -> None:
        open_ = [id_ for id_, ticket in self.tickets.items() if ticket.state.status in OPEN]
        assert open_ == ([self.model.ticket] if self.model.ticket else [])

    @invariant()
    def folding_the_history_gives_the_state(self) -> None:
        member = self.member
        assert reduce(member.evolve, member.history, MemberMFA("m1")) == member.state
        assert [e.version for e in member.history] == list(range(1, member.state.version + 1))


def _by_binding(facts: list[Fact]) -> list[list[Fact]]:
    """The facts, cut where an authenticator is bound."""
    cut: list[list[Fact]] = [[]]
    for fact in facts:
        if isinstance(fact, MFABound):
            cut.append([])
        cut[-1].append(fact)
    return cut


TestTwins = Twins.TestCase
TestTwins.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
