"""The policy of a workspace, and API tokens: who set what, from when."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from domain import api_token, workspace
from domain.api_token import ApiToken, TokenCreated, TokenRevoked
from domain.facts import Fact
from domain.refusals import IllegalTransition, Malformed, NotFound
from domain.workspace import (
    PolicyEnforced,
    PolicyLifted,
    Workspace,
    WorkspaceCreated,
    WorkspaceRenamed,
    set_policy,
)
from tests.rules.scenario import HOST, NOON, Answer, Scenario

LATER = NOON + timedelta(days=7)


def a_workspace(*facts: Fact) -> Scenario[Workspace]:
    """A workspace to which these facts happened."""
    return Scenario(Workspace("w1"), workspace.evolve).given(WorkspaceCreated(), *facts)


def put(mode: str, grace_until: datetime | None = None) -> Callable[[Workspace, datetime], Answer]:
    """Set the policy."""
    return lambda state, at: set_policy(state, mode, grace_until, at)


@pytest.mark.parametrize(
    ("mode", "grace", "fact"),
    [
        ("enforced", None, PolicyEnforced(grace_until=None)),
        ("enforced", LATER, PolicyEnforced(grace_until=LATER)),
        ("off", None, PolicyLifted()),
    ],
)
def test_a_policy_is_set_and_says_by_whom_and_when(
    mode: str, grace: datetime | None, fact: Fact
) -> None:
    other = PolicyLifted() if mode == "enforced" else PolicyEnforced(grace_until=None)
    scenario = a_workspace(other).later(hours=1).when(put(mode, grace)).then(fact)
    state = scenario.state
    assert (state.mode, state.grace_until) == (mode, grace)
    assert (state.changed_at, state.changed_by) == (NOON + timedelta(hours=1), HOST)


@pytest.mark.parametrize(
    ("mode", "grace"), [("enforced", None), ("enforced", LATER), ("off", None)]
)
def test_the_same_policy_again_is_no_fact(mode: str, grace: datetime | None) -> None:
    a_workspace().when(put(mode, grace)).later(days=8).when(put(mode, grace)).then()


@pytest.mark.parametrize(
    ("mode", "grace"),
    [("enforced", NOON), ("enforced", NOON - timedelta(days=1)), ("off", LATER)],
)
def test_grace_lies_in_the_future_and_goes_with_enforced(mode: str, grace: datetime | None) -> None:
    a_workspace().when(put(mode, grace)).then_refused(Malformed)


def test_renaming_leaves_the_policy_alone() -> None:
    before = a_workspace(PolicyEnforced(grace_until=None)).state
    after = a_workspace(PolicyEnforced(grace_until=None), WorkspaceRenamed()).state
    assert (after.mode, after.changed_at, after.created) == (before.mode, before.changed_at, True)


@pytest.mark.parametrize(
    ("role", "workspace_id", "member_id"),
    [
        ("host", None, None),
        ("auditor", None, None),
        ("analyst", None, None),
        ("support", None, "m1"),
        ("owner", "w1", "m1"),
    ],
)
def test_a_token_has_a_role(role: str, workspace_id: str | None, member_id: str | None) -> None:
    assert api_token.create(role, workspace_id, member_id) == TokenCreated(
        role=role, workspace_id=workspace_id, member_id=member_id
    )


@pytest.mark.parametrize(
    ("role", "workspace_id", "member_id"),
    [
        ("root", None, None),
        ("member", None, "m1"),
        ("support", None, None),
        ("owner", "w1", None),
        ("owner", None, "m1"),
    ],
)
def test_a_role_comes_with_what_it_needs(
    role: str, workspace_id: str | None, member_id: str | None
) -> None:
    with pytest.raises(Malformed):
        api_token.create(role, workspace_id, member_id)


def test_a_token_is_revoked_once() -> None:
    def revoke(token: ApiToken, at: datetime) -> Answer:
        return api_token.revoke(token)

    token = Scenario(ApiToken("k1"), api_token.evolve)
    token.when(revoke).then_refused(NotFound)
    token.given(TokenCreated(role="host", workspace_id=None, member_id=None))
    token.when(revoke).then(TokenRevoked).when(revoke).then_refused(IllegalTransition)
