"""Questions: coverage, previews, login checks, the queue, the audit trail and events, in pages."""

import time
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.http.installation import Installation, installed


def pages(here: Installation, path: str, token: str) -> list[Any]:
    """Every item of a list, page by page."""
    found: list[Any] = []
    mark = "&" if "?" in path else "?"
    answer = here.get(path, token)
    while True:
        assert answer.status == 200, answer.text
        found.extend(answer.body["items"])
        cursor = answer.body["next_cursor"]
        if cursor is None:
            return found
        answer = here.get(f"{path}{mark}cursor={cursor}", token)


def test_coverage_counts_and_lists_members_in_pages(here: Installation) -> None:
    workspace = here.workspace()
    bound = here.bound(workspace)
    others = [here.member(workspace) for _ in range(4)]
    here.enforce(workspace)
    path = f"/v1/workspaces/{workspace}/coverage?at_least={here.twinlock.store.head()}"
    seen = here.get(path, "host").body
    assert (seen["members"], seen["bound"], seen["overdue"], seen["in_grace"]) == (5, 1, 4, 0)
    assert seen["as_of"]["position"] >= here.twinlock.store.head()
    items = pages(here, f"/v1/workspaces/{workspace}/coverage?limit=2", "host")
    assert [i["member_id"] for i in items] == sorted([bound.id, *(o.id for o in others)])
    assert {i["status"] for i in items} == {"bound", "not_bound"}


def test_grace_without_end_is_shown_where_the_server_is_east_of_greenwich(database: str) -> None:
    """There its end would lie in the year 10000, which Python's times don't reach."""
    with psycopg.connect(database, autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        connection.execute(
            sql.SQL("ALTER DATABASE {} SET timezone TO 'Asia/Shanghai'").format(name)
        )
    with installed(database) as here:
        member, end = here.member(here.workspace()), "9999-12-31T23:59:59Z"
        here.enforce(member.workspace_id, grace_until=end)
        head = here.twinlock.store.head()
        covered = here.get(f"/v1/workspaces/{member.workspace_id}/coverage?at_least={head}", "host")
    assert (covered.status, covered.body["in_grace"]) == (200, 1)
    assert covered.body["items"][0]["enrolment_due_at"] == end


def test_a_preview_names_whom_enforcement_would_stop(here: Installation) -> None:
    workspace = here.workspace()
    owner, member = here.bound(workspace, "owner"), here.member(workspace)
    path = f"/v1/workspaces/{workspace}/mfa-policy/preview?at_least={here.twinlock.store.head()}"
    seen = here.get(path, owner.granted).body
    assert (seen["members"], seen["stopped"]) == (2, 1)
    assert seen["items"] == [{"member_id": member.id, "name": "Somebody", "bound": False}]


def test_a_login_check_is_right_at_once_without_waiting(here: Installation) -> None:
    workspace = here.workspace()
    member = here.member(workspace)
    path = f"/v1/login-checks?workspace_id={workspace}&member_id={member.id}"
    first = here.get(path, "host").body
    assert (first["decision"], first["reason"]) == ("granted", "policy_off")
    here.enforce(workspace)
    second = here.get(path, "host").body
    assert (second["decision"], second["reason"]) == ("enrolment_required", "policy_enforced")
    assert second["mfa_required"] is True
    here.bind(member)
    third = here.get(path, "host").body
    assert (third["decision"], third["bound"], third["epoch"]) == ("code_required", True, 1)
    assert here.get(f"{path}-stranger", "host").told == (404, "not-found")


def test_a_cursor_belongs_to_its_query_and_its_caller(here: Installation) -> None:
    workspace = here.workspace()
    for _ in range(3):
        here.member(workspace)
    path = f"/v1/workspaces/{workspace}/coverage?limit=1"
    head = here.twinlock.store.head()
    cursor = here.get(f"{path}&at_least={head}", "host").body["next_cursor"]
    assert here.get(f"{path}&cursor={cursor}", "host").status == 200
    elsewhere = f"/v1/workspaces/{here.workspace()}/coverage?cursor={cursor}"
    changed = cursor[:-1] + ("A" if cursor[-1] != "A" else "B")
    for wrong in (
        elsewhere,
        f"{path}&cursor={changed}",
        f"{path}&cursor={cursor}x",
        f"/v1/workspaces/{workspace}/mfa-policy/preview?cursor={cursor}",
    ):
        assert here.get(wrong, "host").told == (422, "malformed")
    assert here.get(f"/v1/audit?cursor={cursor}", "auditor").told == (422, "malformed")


def test_the_queue_is_oldest_first_and_can_be_filtered(here: Installation) -> None:
    workspace = here.workspace()
    filed = [here.ticket(here.bound(workspace))["ticket_id"] for _ in range(3)]
    here.post(f"/v1/tickets/{filed[1]}/claim", "other_support")
    head = here.twinlock.store.head()
    everything = pages(here, f"/v1/tickets?limit=2&at_least={head}", "support")
    assert [t["ticket_id"] for t in everything if t["ticket_id"] in filed] == filed
    waiting = pages(here, "/v1/tickets?status=submitted", "support")
    assert filed[1] not in [t["ticket_id"] for t in waiting]
    mine = pages(here, "/v1/tickets?assignee=me", "other_support")
    assert [t["ticket_id"] for t in mine] == [filed[1]]
    assert mine[0]["title"] == "Lost phone"


def test_forwarding_to_an_agent_or_back_to_the_queue(here: Installation) -> None:
    filed = here.ticket(here.bound(here.workspace()))
    path = f"/v1/tickets/{filed['ticket_id']}"
    here.post(f"{path}/claim", "support")
    assert here.post(f"{path}/claim", "other_support").told == (409, "illegal-transition")
    assert here.post(f"{path}/forward", "support", {"to": "nobody"}).told == (422, "malformed")
    assert here.post(f"{path}/forward", "support", {}).told == (422, "malformed")
    moved = here.post(f"{path}/forward", "support", {"to": "agent-b"})
    assert moved.body["assignee"] == "agent-b"
    back = here.post(f"{path}/forward", "other_support", {"to": None})
    assert (back.body["status"], back.body["assignee"]) == ("submitted", None)


def test_the_audit_trail_says_who_did_what(here: Installation) -> None:
    member = here.bound(here.workspace())
    head = here.twinlock.store.head()
    trail = pages(here, f"/v1/audit?member_id={member.id}&limit=3&at_least={head}", "auditor")
    kinds = [item["type"] for item in trail]
    assert kinds[:2] == ["mfa.registered", "workspace.member_added"]
    assert "mfa.bound" in kinds
    bound = next(item for item in trail if item["type"] == "mfa.bound")
    assert bound["actor"] == {"kind": "member", "id": member.id}
    assert bound["subject"] == f"member/{member.id}"
    assert bound["workspace_id"] == member.workspace_id
    assert set(bound) == {
        "position",
        "time",
        "type",
        "actor",
        "subject",
        "workspace_id",
        "request_id",
        "result",
        "data",
    }
    positions = [item["position"] for item in trail]
    assert positions == sorted(positions)
    one = pages(here, f"/v1/audit?member_id={member.id}&type=mfa.bound", "auditor")
    assert [item["type"] for item in one] == ["mfa.bound"]
    assert pages(here, f"/v1/audit?actor={member.id}&until=2020-01-01T00:00:00Z", "auditor") == []


def test_a_recorded_request_carries_its_id(here: Installation) -> None:
    workspace = here.workspace()
    member = here.member(workspace)
    headers = {"X-Request-Id": f"req-{workspace}"}
    body = {"workspace_id": workspace, "member_id": member.id}
    opened = here.post("/v1/logins", "host", body, headers=headers)
    at_least = opened.headers["Twinlock-Position"]
    trail = here.get(f"/v1/audit?member_id={member.id}&at_least={at_least}", "auditor").body
    assert trail["items"][-1]["request_id"] == f"req-{workspace}"
    assert trail["items"][-1]["type"] == "mfa.login_granted"


def test_events_are_cloudevents_in_order(here: Installation) -> None:
    here.bound(here.workspace())
    first = here.get("/v1/events?limit=3", "analyst").body
    assert [int(event["id"]) for event in first["events"]] == [1, 2, 3]
    assert first["next_after"] == 3
    second = here.get("/v1/events?after=3&limit=500", "analyst").body
    assert int(second["events"][0]["id"]) == 4
    assert second["next_after"] == int(second["events"][-1]["id"])
    assert first["events"][0]["specversion"] == "1.0"
    some = here.get("/v1/events?types=mfa.bound,mfa.registered&limit=500", "analyst").body
    kinds = {event["type"] for event in some["events"]}
    assert kinds == {"twinlock.mfa.bound.v1", "twinlock.mfa.registered.v1"}


@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("/v1/audit?", "auditor"),
        ("/v1/tickets?", "support"),
        ("/v1/events?", "analyst"),
        ("/v1/agents?", "support"),
    ],
)
def test_a_position_that_is_far_off_is_waited_for_in_vain(
    here: Installation, path: str, role: str
) -> None:
    started = time.monotonic()
    refused = here.get(f"{path}at_least={10**9}", role)
    assert refused.told == (503, "not-yet-visible")
    assert refused.headers["Retry-After"] == "1"
    assert 1.9 < time.monotonic() - started < 10  # two seconds, on a busy machine
    assert here.get(f"{path}at_least={here.twinlock.store.head()}", role).status == 200
