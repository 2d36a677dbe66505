"""What is due before a workspace opens: policy, grace, binding and lock; and what a login opens."""

from datetime import datetime, timedelta

import pytest

from domain import entry
from domain.entry import (
    PASSWORD,
    TWO_FACTORS,
    What,
    due,
    login_state,
    may_call,
    opens,
    still_proves,
)
from domain.facts import Fact
from domain.member_facts import (
    CodeAccepted,
    Erased,
    LoginGranted,
    MemberAdded,
    MemberRemoved,
    MFABound,
    MFAUnbound,
    Registered,
    SessionsRevoked,
)
from domain.member_mfa import MemberMFA
from domain.workspace import PolicyEnforced, PolicyLifted, Workspace
from tests.rules.scenario import BOUND, NOON, a_member, code_now, locked_for
from tests.rules.test_workspace import a_workspace

LATER = NOON + timedelta(days=7)
JOINED = MemberAdded(workspace_id="w1", member_id="m1", role="member")
POLICIES = {
    "off": (PolicyLifted(),),
    "grace": (PolicyEnforced(grace_until=LATER),),
    "enforced": (PolicyEnforced(grace_until=None),),
}


def a_workspace_with(policy: str) -> Workspace:
    """A workspace under one of the three policies."""
    return a_workspace(*POLICIES[policy]).state


def somebody(*, bound: bool, locked: bool) -> MemberMFA:
    """A member of w1."""
    facts = BOUND if bound else (Registered(),)
    lock = (locked_for(minutes=15),) if locked else ()
    return a_member(*facts, JOINED, *lock).state


TABLE = [
    ("off", False, False, "granted", "policy_off"),
    ("off", False, True, "granted", "policy_off"),
    ("off", True, False, "code_required", "bound"),
    ("off", True, True, "locked", "locked"),
    ("grace", False, False, "granted", "in_grace"),
    ("grace", False, True, "granted", "in_grace"),
    ("grace", True, False, "code_required", "bound"),
    ("grace", True, True, "locked", "locked"),
    ("enforced", False, False, "enrolment_required", "policy_enforced"),
    ("enforced", False, True, "locked", "locked"),
    ("enforced", True, False, "code_required", "bound"),
    ("enforced", True, True, "locked", "locked"),
]


@pytest.mark.parametrize(("policy", "bound", "locked", "decision", "reason"), TABLE)
def test_what_is_due(policy: str, bound: bool, locked: bool, decision: str, reason: str) -> None:
    what = due(somebody(bound=bound, locked=locked), a_workspace_with(policy), NOON)
    assert (what.decision, what.reason) == (decision, reason)
    assert what.mfa_required is (policy == "enforced")
    assert what.locked_until == (NOON + timedelta(minutes=15) if locked else None)
    in_grace = policy == "grace" and not bound
    assert what.enrolment_due_at == (LATER if in_grace else None)


@pytest.mark.parametrize(("policy", "bound", "locked", "decision", "reason"), TABLE)
def test_the_state_of_a_pending_login(
    policy: str, bound: bool, locked: bool, decision: str, reason: str
) -> None:
    state = login_state(somebody(bound=bound, locked=locked), a_workspace_with(policy), "l1", NOON)
    assert state == ("enrolment_required" if decision == "granted" else decision)


@pytest.mark.parametrize(
    ("at", "decision"),
    [(LATER - timedelta(seconds=1), "granted"), (LATER, "enrolment_required")],
)
def test_grace_ends_at_its_time(at: datetime, decision: str) -> None:
    member = somebody(bound=False, locked=False)
    assert due(member, a_workspace_with("grace"), at).decision == decision


def test_a_clock_that_goes_back_does_not_lengthen_grace() -> None:
    member = a_member(Registered(), JOINED).later(days=7).given(SessionsRevoked())
    assert due(member.state, a_workspace_with("grace"), NOON).decision == "enrolment_required"


def test_other_workspaces_of_the_member_are_unaffected() -> None:
    member = somebody(bound=False, locked=False)
    assert due(member, a_workspace_with("enforced"), NOON).decision == "enrolment_required"
    assert due(member, Workspace("w2"), NOON).decision == "granted"


def test_a_login_is_granted_where_the_stream_says_so() -> None:
    member = a_member(*BOUND, JOINED).when(code_now(login_id="l1")).then(CodeAccepted)
    workspace = a_workspace_with("enforced")
    assert login_state(member.state, workspace, "l1", NOON) == "granted"
    assert login_state(member.state, workspace, "l2", NOON) == "code_required"


def test_a_login_granted_at_once_is_granted() -> None:
    granted = LoginGranted(login_id="l1", amr=PASSWORD, reason="policy_off")
    member = a_member(Registered(), JOINED, granted).state
    assert login_state(member, a_workspace_with("off"), "l1", NOON) == "granted"


def test_grants_are_remembered_for_the_life_of_a_login() -> None:
    member = a_member(Registered())
    for number, minutes in enumerate((0, 9, 2)):
        granted = LoginGranted(login_id=f"l{number}", amr=PASSWORD, reason="policy_off")
        member.later(minutes=minutes).given(granted)
    assert [member.state.was_granted(f"l{number}") for number in range(3)] == [False, True, True]


def test_a_thousand_grants_do_not_make_the_state_grow() -> None:
    grants = [LoginGranted(login_id=f"l{i}", amr=PASSWORD, reason="in_grace") for i in range(1000)]
    member = a_member(Registered(), *grants).state
    assert len(member.granted) == 50
    assert member.was_granted("l999")
    assert not member.was_granted("l0")


@pytest.mark.parametrize(
    ("state", "bound", "calls"),
    [
        ("enrolment_required", False, {"email_code", "enrolment", "binding"}),
        ("code_required", True, {"code", "ticket"}),
        ("locked", True, {"code", "ticket"}),
        ("locked", False, {"code", "ticket", "binding"}),
        ("granted", True, {"code"}),
    ],
)
def test_what_a_login_opens(state: What, bound: bool, calls: set[str]) -> None:
    every = frozenset().union(*entry.CALLS.values())
    assert {call for call in every | {"unbinding"} if may_call(state, call, bound=bound)} == calls


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("bound", [False, True])
@pytest.mark.parametrize("amr", [PASSWORD, TWO_FACTORS])
def test_whether_a_pass_opens_the_workspace(policy: str, bound: bool, amr: tuple[str, ...]) -> None:
    opened = opens(somebody(bound=bound, locked=False), a_workspace_with(policy), amr, NOON)
    assert opened is ((bound and "mfa" in amr) or (not bound and policy != "enforced"))


@pytest.mark.parametrize(
    "end", [MemberRemoved(workspace_id="w1", member_id="m1"), Erased()], ids=["removed", "erased"]
)
def test_a_pass_of_a_former_member_opens_nothing(end: Fact) -> None:
    member = a_member(*BOUND, JOINED, end).state
    assert not opens(member, a_workspace_with("off"), TWO_FACTORS, NOON)


def test_what_was_proven_with_an_authenticator_that_is_gone_counts_no_more() -> None:
    off = MFAUnbound(binding_id="b1", method="recovery_code", ticket_id=None)
    anew = MFABound(binding_id="b2", step=9, workspace_id="w1", login_id="l2")
    member = a_member(*BOUND, JOINED).when(code_now(login_id="l1"))
    assert still_proves(member.state, "l1", TWO_FACTORS)
    assert not still_proves(member.state, "l2", TWO_FACTORS)
    member.later(minutes=1).given(off)
    assert not still_proves(member.state, "l1", TWO_FACTORS)
    assert not opens(member.state, a_workspace_with("enforced"), TWO_FACTORS, NOON)
    member.later(minutes=1).given(anew)
    assert [still_proves(member.state, id_, TWO_FACTORS) for id_ in ("l1", "l2")] == [False, True]
    assert still_proves(member.state, "l1", PASSWORD)


def test_a_lock_stops_no_pass_that_was_given() -> None:
    member = somebody(bound=True, locked=True)
    assert opens(member, a_workspace_with("enforced"), TWO_FACTORS, NOON)
