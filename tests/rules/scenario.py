"""The words in which the rules are told: given facts, when a decision, then facts or a refusal."""

import base64
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Generic, Protocol, Self, TypeVar

from domain import enrolment, member_mfa, second_factor, totp, unbind_ticket
from domain.decision import Decision
from domain.facts import Actor, Event, Fact
from domain.member_facts import (
    CodeRejected,
    EmailCodeConfirmed,
    EmailCodeRejected,
    Locked,
    MFABound,
    RecoveryCodesIssued,
    Registered,
)
from domain.member_mfa import MemberMFA
from domain.onetime import BIND, email_code, recovery_code, recovery_digest
from domain.refusals import Refusal
from domain.unbind_ticket import TicketSubmitted, UnbindTicket

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
STEP = totp.step_at(NOON)
HOST = Actor("host", "h1")
KEY = b"k" * 32
SECRET = base64.b32encode(bytes(range(20))).decode()
RECOVERY = tuple(recovery_code(bytes([i]) * 10) for i in range(10))
DIGESTS = tuple(recovery_digest(code) for code in RECOVERY)
BOUND = (
    Registered(),
    MFABound(binding_id="b1", step=STEP - 100, workspace_id=None, login_id=None),
    RecoveryCodesIssued(set_id="set1", count=10),
)


class State(Protocol):
    """What every aggregate tells of itself."""

    @property
    def id(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def updated_at(self) -> datetime: ...


S = TypeVar("S", bound=State)
Answer = Decision | Fact | tuple[Fact, ...]
Ask = Callable[[S, datetime], Answer]


@dataclass
class Scenario(Generic[S]):
    """One stream: facts fold into `state`, and the newest outcome waits for its `then`."""

    state: S
    evolve: Callable[[S, Event], S]
    now: datetime = NOON
    facts: tuple[Fact, ...] = ()
    refusal: Refusal | None = None
    history: list[Event] = field(default_factory=list)

    def given(self, *facts: Fact) -> Self:
        """Fold facts that happened now, stamped as the store stamps them."""
        for fact in facts:
            event = Event(
                stream=self.state.id,
                version=self.state.version + 1,
                fact=fact,
                at=max(self.now, self.state.updated_at),
                actor=HOST,
                request_id="r1",
            )
            self.state = self.evolve(self.state, event)
            self.history.append(event)
        return self

    def later(self, **span: float) -> Self:
        """Let time go by, or, with a negative span, let the clock go back."""
        self.now += timedelta(**span)
        return self

    def when(self, ask: Ask[S], times: int = 1) -> Self:
        """Decide, and fold what was decided, also where it is a refusal."""
        for _ in range(times):
            self.facts, self.refusal = (), None
            try:
                answer = ask(self.state, self.now)
            except Refusal as refusal:
                self.refusal = refusal
                continue
            if isinstance(answer, Decision):
                self.facts, self.refusal = answer.facts, answer.refusal
            else:
                self.facts = answer if isinstance(answer, tuple) else (answer,)
            self.given(*self.facts)
        return self

    def then(self, *expected: Fact | type[Fact]) -> Self:
        """Exactly these facts came out (a type stands for any of it), and no refusal."""
        assert self.refusal is None, repr(self.refusal)
        self._came(expected)
        return self

    def then_refused(
        self, kind: type[Refusal], *expected: Fact | type[Fact], **said: object
    ) -> Self:
        """Exactly this refusal came out, saying this, after these facts."""
        assert type(self.refusal) is kind, repr(self.refusal or self.facts)
        assert {name: getattr(self.refusal, name) for name in said} == said
        self._came(expected)
        return self

    def _came(self, expected: tuple[Fact | type[Fact], ...]) -> None:
        came = [
            type(fact) if isinstance(wanted, type) else fact
            for fact, wanted in zip(self.facts, expected, strict=True)
        ]
        assert came == list(expected)


OfMember = Callable[[MemberMFA, datetime], Answer]
OfTicket = Callable[[UnbindTicket, datetime], Answer]
Member = Scenario[MemberMFA]
Ticket = Scenario[UnbindTicket]


def a_member(*facts: Fact, id_: str = "m1", now: datetime = NOON) -> Member:
    """A member to whom these facts happened."""
    return Scenario(MemberMFA(id_), member_mfa.evolve, now).given(*facts)


def a_bound_member(*facts: Fact) -> Member:
    """A member with an authenticator (`SECRET`) and ten recovery codes (`RECOVERY`)."""
    return a_member(*BOUND, *facts)


def a_ticket(needed: int = 1, *facts: Fact) -> Ticket:
    """A submitted ticket of member m1's binding b1."""
    submitted = TicketSubmitted(
        member_id="m1", binding_id="b1", first_factor_proven=True, approvals_needed=needed
    )
    return Scenario(UnbindTicket("t1"), unbind_ticket.evolve).given(submitted, *facts)


def code(
    step: int, *, purpose: str = "login", window: int = 1, login_id: str | None = None
) -> OfMember:
    """Enter the authenticator's code of a time step."""
    return text(totp.code_for(SECRET, step), purpose=purpose, window=window, login_id=login_id)


def text(
    entered: str, *, purpose: str = "login", window: int = 1, login_id: str | None = None
) -> OfMember:
    """Enter this very text as a code."""

    def ask(member: MemberMFA, at: datetime) -> Decision:
        return second_factor.spend_code(
            member, SECRET, entered, purpose=purpose, at=at, window=window, login_id=login_id
        )

    return ask


def code_now(*, purpose: str = "login", login_id: str | None = None) -> OfMember:
    """Enter the code that the authenticator shows now."""
    return lambda member, at: code(totp.step_at(at), purpose=purpose, login_id=login_id)(member, at)


def wrong_code(*, purpose: str = "login") -> OfMember:
    """Enter a code that no step near the member's time has."""
    return lambda member, at: text(_no_code(member.clock(at)), purpose=purpose)(member, at)


def recovery(
    entered: str,
    *,
    purpose: str = "login",
    login_id: str | None = None,
    digests: Sequence[str] = DIGESTS,
) -> OfMember:
    """Enter a recovery code."""

    def ask(member: MemberMFA, at: datetime) -> Decision:
        return second_factor.spend_recovery_code(
            member, digests, entered, purpose=purpose, at=at, login_id=login_id
        )

    return ask


def ask_email_code(purpose: str = BIND, challenge_id: str = "c1") -> OfMember:
    """Ask for a code by mail."""
    return lambda member, at: enrolment.send_email_code(
        member, purpose=purpose, challenge_id=challenge_id, at=at
    )


def enter_email_code(
    purpose: str = BIND, made_for: str = "c1", named: str | None = None, entered: str | None = None
) -> OfMember:
    """Enter the code of challenge `made_for`, or another text, as that of challenge `named`."""

    def ask(member: MemberMFA, at: datetime) -> Decision:
        right = email_code(KEY, purpose=purpose, member_id=member.id, challenge_id=made_for)
        given = right if entered is None else entered
        return enrolment.check_email_code(
            member, given, key=KEY, purpose=purpose, at=at, challenge_id=named
        )

    return ask


def enrol(
    enrolment_id: str = "b1", *, made_for: str = "c1", entered: str | None = None
) -> OfMember:
    """Exchange the mailed code for a pending enrolment."""

    def ask(member: MemberMFA, at: datetime) -> Decision:
        right = email_code(KEY, purpose=BIND, member_id=member.id, challenge_id=made_for)
        return enrolment.start(member, entered or right, key=KEY, enrolment_id=enrolment_id, at=at)

    return ask


def bind(entered: str | None = None, *, login_id: str | None = None) -> OfMember:
    """Enter the first code of the pending authenticator: the right one, or this text."""

    def ask(member: MemberMFA, at: datetime) -> Decision:
        return enrolment.bind(
            member,
            SECRET,
            totp.code_for(SECRET, totp.step_at(at)) if entered is None else entered,
            at=at,
            window=1,
            recovery_set="set2",
            workspace_id="w1",
            login_id=login_id,
        )

    return ask


FAILED = CodeRejected(purpose="login", reason="wrong", login_id=None)
REJECTED_EMAIL = EmailCodeRejected(challenge_id="c1", purpose=BIND)
CONFIRMED_EMAIL = EmailCodeConfirmed(challenge_id="c1", purpose=BIND)


def locked_for(**span: float) -> Locked:
    """A lock that began at noon."""
    return Locked(until=NOON + timedelta(**span), failures=5)


def _no_code(at: datetime) -> str:
    near = {totp.code_for(SECRET, totp.step_at(at) + i) for i in range(-3, 4)}
    every: Iterator[str] = (f"{number:06d}" for number in count())
    return next(entered for entered in every if entered not in near)
