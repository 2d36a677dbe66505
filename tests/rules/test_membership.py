"""Members join, change, leave, sign out everywhere and are erased; the epoch tells old passes."""

from datetime import datetime

import pytest

from domain import membership
from domain.facts import Fact
from domain.member_facts import (
    CodeAccepted,
    ContactChanged,
    EmailCodeSent,
    EnrolmentStarted,
    Erased,
    LoginGranted,
    MemberAdded,
    MemberRemoved,
    MemberRoleChanged,
    MFABound,
    MFAUnbound,
    RecoveryCodesIssued,
    RecoveryCodeSpent,
    Registered,
    SessionsRevoked,
    TicketClosed,
    TicketOpened,
)
from domain.member_mfa import MemberMFA
from domain.refusals import Erased as IsErased
from domain.refusals import NotFound
from domain.unbind_ticket import CANCELLED, close_ticket
from tests.rules.scenario import (
    BOUND,
    FAILED,
    NOON,
    Answer,
    OfMember,
    a_bound_member,
    a_member,
    ask_email_code,
    locked_for,
)

JOINED = MemberAdded(workspace_id="w1", member_id="m1", role="member")
JOINED_2 = MemberAdded(workspace_id="w2", member_id="m1", role="owner")


def put(workspace_id: str = "w1", role: str = "member", *, moved: bool = False) -> OfMember:
    """Make the member known as that."""
    return lambda member, at: membership.put(member, workspace_id, role, contact_changed=moved)


def remove(workspace_id: str = "w1") -> OfMember:
    """Take the member out."""
    return lambda member, at: membership.remove(member, workspace_id)


def erase(member: MemberMFA, at: datetime) -> Answer:
    """End the account."""
    return membership.erase(member)


def revoke(member: MemberMFA, at: datetime) -> Answer:
    """Sign the member out everywhere."""
    return membership.revoke_sessions(member)


def test_a_new_member_is_registered_once_and_joins_each_workspace() -> None:
    member = a_member().when(put()).then(Registered(), JOINED)
    member.when(put("w2", "owner")).then(JOINED_2)
    assert member.state.roles == {"w1": "member", "w2": "owner"}


def test_the_same_again_is_no_fact() -> None:
    a_member(Registered(), JOINED).when(put()).then()


def test_a_role_changes_in_one_workspace() -> None:
    member = a_member(Registered(), JOINED, JOINED_2).when(put(role="owner"))
    member.then(MemberRoleChanged(workspace_id="w1", member_id="m1", role="owner"))
    assert member.state.roles == {"w1": "owner", "w2": "owner"}


def test_a_new_address_is_a_fact_of_its_own() -> None:
    member = a_member(Registered(), JOINED)
    member.when(put(moved=True)).then(ContactChanged())
    member.when(put("w2", "owner", moved=True)).then(ContactChanged(), JOINED_2)


def test_leaving_keeps_the_binding_and_cancels_the_ticket() -> None:
    member = a_bound_member(JOINED, JOINED_2, TicketOpened(ticket_id="t1")).when(remove())
    member.then(
        MemberRemoved(workspace_id="w1", member_id="m1"),
        TicketClosed(ticket_id="t1", status="cancelled"),
    )
    assert (member.state.roles, member.state.bound) == ({"w2": "owner"}, True)


@pytest.mark.parametrize("workspace_id", ["w2", ""])
def test_who_is_no_member_cannot_leave(workspace_id: str) -> None:
    a_member(Registered(), JOINED).when(remove(workspace_id)).then_refused(NotFound)


def test_the_last_owner_may_be_removed() -> None:
    a_member(Registered(), JOINED_2).when(remove("w2")).then(MemberRemoved)


def test_signing_out_everywhere_ends_passes_and_pending_logins() -> None:
    member = a_member(Registered())
    before = member.state
    after = member.when(revoke).then(SessionsRevoked()).state
    assert (after.epoch, after.revocations) == (before.epoch + 1, before.revocations + 1)


@pytest.mark.parametrize("facts", [(), (Registered(), Erased())], ids=["unknown", "erased"])
@pytest.mark.parametrize("step", [revoke, erase])
def test_a_stranger_has_no_account_to_end(step: OfMember, facts: tuple[Fact, ...]) -> None:
    a_member(*facts).when(step).then_refused(NotFound)


def test_erasure_leaves_every_workspace_and_cancels_the_ticket() -> None:
    member = a_bound_member(JOINED, JOINED_2, TicketOpened(ticket_id="t1"))
    member.when(ask_email_code("ticket")).when(erase)
    member.then(
        MemberRemoved(workspace_id="w1", member_id="m1"),
        MemberRemoved(workspace_id="w2", member_id="m1"),
        TicketClosed(ticket_id="t1", status="cancelled"),
        Erased(),
    )
    state = member.state
    assert (state.roles, state.bound) == ({}, False)
    assert (state.recovery_set, state.open_ticket, state.challenges) == (None, None, ())


def test_an_erased_id_is_refused_for_ever() -> None:
    a_bound_member(JOINED).when(erase).later(days=9999).when(put()).then_refused(IsErased)


def test_erasure_does_not_clear_the_cap() -> None:
    member = a_bound_member(*[FAILED] * 50).when(erase)
    assert member.state.locked_until(NOON) is not None


RAISES: list[tuple[Fact, bool]] = [
    (MFABound(binding_id="b2", step=1, workspace_id=None, login_id=None), True),
    (MFAUnbound(binding_id="b1", method="self", ticket_id=None), True),
    (MFAUnbound(binding_id="b1", method="recovery_code", ticket_id=None), True),
    (MFAUnbound(binding_id="b1", method="ticket", ticket_id="t1"), True),
    (MemberRemoved(workspace_id="w1", member_id="m1"), True),
    (SessionsRevoked(), True),
    (Erased(), True),
    (CodeAccepted(purpose="login", login_id="l1", binding_id="b1", step=1), False),
    (RecoveryCodeSpent(purpose="login", login_id="l1", set_id="set1", index=0), False),
    (RecoveryCodesIssued(set_id="set2", count=10), False),
    (FAILED, False),
    (locked_for(minutes=15), False),
    (LoginGranted(login_id="l1", amr=("pwd",), reason="in_grace"), False),
    (EnrolmentStarted(enrolment_id="b2", expires_at=NOON), False),
    (EmailCodeSent(challenge_id="c1", purpose="bind", expires_at=NOON), False),
    (ContactChanged(), False),
    (JOINED_2, False),
    (MemberRoleChanged(workspace_id="w1", member_id="m1", role="owner"), False),
    (TicketOpened(ticket_id="t1"), False),
    (TicketClosed(ticket_id="t1", status="rejected"), False),
]


@pytest.mark.parametrize(("fact", "raises"), RAISES, ids=lambda v: getattr(v, "wire_name", None))
def test_what_raises_the_epoch(fact: Fact, raises: bool) -> None:
    member = a_member(*BOUND, JOINED)
    before = member.state.epoch
    assert member.given(fact).state.epoch == before + raises


def test_without_a_ticket_there_is_none_to_close() -> None:
    assert close_ticket(a_bound_member().state, CANCELLED) == ()
