"""A policy ends at its workspace, a binding does not, and no decision waits for a projector."""

from collections.abc import Iterator

import pytest

from tests.flow.installation import Installation
from tests.flow.people import (
    Person,
    a_bound_member,
    a_member,
    a_workspace,
    confirm_mailbox,
    enforce,
    enrol,
    enter,
    join,
    log_in,
    opens,
    pass_with_code,
)

pytestmark = pytest.mark.live


def check(small: Installation, person: Person, workspace: str) -> tuple[str, str, bool]:
    """What the login check says: decision, reason, bound."""
    path = f"/v1/login-checks?workspace_id={workspace}&member_id={person.id}"
    said = small.as_host("GET", path).body
    return said["decision"], said["reason"], said["bound"]


def test_enforcement_in_one_workspace_changes_nothing_in_another(small: Installation) -> None:
    one, other = a_workspace(small), a_workspace(small)
    person = a_member(small, one)
    join(small, person, other)
    before = log_in(small, person, other)["pass"]
    here = log_in(small, person, one)["pass"]
    enforce(small, one)
    assert log_in(small, person, one)["state"] == "enrolment_required"
    assert log_in(small, person, other)["state"] == "granted"
    assert check(small, person, one) == ("enrolment_required", "policy_enforced", False)
    assert check(small, person, other) == ("granted", "policy_off", False)
    assert opens(small, before, other)
    assert not opens(small, here, one)
    assert not opens(small, before, one)
    policy = small.as_host("GET", f"/v1/workspaces/{other}/mfa-policy").body
    assert (policy["mode"], policy["changed_at"]) == ("off", None)


def test_a_bound_member_is_asked_for_a_code_where_no_policy_is(small: Installation) -> None:
    one, other = a_workspace(small, enforced=True), a_workspace(small)
    person = a_bound_member(small, one)
    join(small, person, other)
    assert log_in(small, person, other)["state"] == "code_required"
    assert check(small, person, other) == ("code_required", "bound", True)


@pytest.fixture
def without_projector(small: Installation) -> Iterator[Installation]:
    """No projector of read models runs; those of the mailer do."""
    small.kill("project")
    yield small
    if "project" not in small.processes:
        small.start_workers("project")


def test_a_stopped_projector_changes_no_decision(without_projector: Installation) -> None:
    here = without_projector
    workspace = a_workspace(here)
    person, other = a_member(here, workspace), a_member(here, workspace)
    login = log_in(here, person)
    token = login["pass"]
    enrol(here, person, token, confirm_mailbox(here, person, token))
    proof = {"code": person.phone.code()}
    bound = here.client.post(f"{person.mfa}/binding", token, proof)
    assert bound.status == 201
    enforce(here, workspace)

    assert log_in(here, person)["state"] == "code_required"
    assert check(here, person, workspace) == ("code_required", "bound", True)
    assert log_in(here, other)["state"] == "enrolment_required"
    assert check(here, other, workspace) == ("enrolment_required", "policy_enforced", False)
    assert not opens(here, token, workspace)
    assert opens(here, pass_with_code(here, person), workspace)

    wrong = person.phone.wrong()
    refused = [enter(here, log_in(here, person), code=wrong) for _ in range(5)]
    assert [each.told for each in refused] == [(403, "code-rejected")] * 5
    assert log_in(here, person)["state"] == "locked"
    assert check(here, person, workspace) == ("locked", "locked", True)
    fresh = enter(here, log_in(here, person), code=person.phone.code())
    assert fresh.told == (429, "locked")

    newest = refused[-1].position
    coverage = f"/v1/workspaces/{workspace}/coverage?at_least={newest}"
    late = here.client.get(coverage, here.tokens["host"])
    assert late.told == (503, "not-yet-visible")
    here.start_workers("project")
    here.settle(newest)
    caught_up = here.as_host("GET", coverage).body
    counted = [caught_up[name] for name in ("members", "bound", "overdue", "locked")]
    assert counted == [2, 1, 1, 1]


def test_a_projector_that_hangs_changes_no_decision(small: Installation) -> None:
    workspace = a_workspace(small)
    person = a_bound_member(small, workspace)
    small.settle(small.client.replies[-1].position)
    small.freeze("project")
    try:
        token = pass_with_code(small, person)
        proof = {"code": person.phone.code()}
        off = small.client.post(f"{person.mfa}/unbinding", token, proof)
        assert off.status == 200
        assert check(small, person, workspace) == ("granted", "policy_off", False)
        assert log_in(small, person)["state"] == "granted"
        shown = small.as_host("GET", person.mfa).body
        assert shown["status"] == "not_bound"
    finally:
        small.thaw("project")
    small.settle(off.position)
