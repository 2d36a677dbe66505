"""When something breaks: 500 without a trace, 503 that fails closed, and logs without secrets."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from http.client import HTTPConnection
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from api.metrics import Metrics
from tests.http.installation import Installation, Reply, installed
from tests.http.routes import ROUTES, Route, Things
from tests.support.parts import temporary_folder
from twinlock.backend import backlog
from twinlock.dev.postgres import Postgres


class Broken:
    """A store that fails in one way."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        raise self._error


def with_store(here: Installation, error: Exception) -> Installation:
    """The same installation over a store that fails."""
    desk = replace(here.backend.desk, store=Broken(error))
    return here.with_backend(desk=desk)


def test_an_unexpected_error_shows_nothing_of_itself(here: Installation) -> None:
    member = here.bound(here.workspace())
    broken = with_store(here, ValueError("the secret is xyzzy"))
    with capture_logs() as lines:
        failed = broken.get(f"/v1/members/{member.id}/mfa", "host")
    assert failed.told == (500, "internal")
    assert "xyzzy" not in failed.text
    assert "Traceback" not in failed.text
    assert [line["event"] for line in lines] == ["failed", "answered"]
    assert failed.body["request_id"] == failed.headers["X-Request-Id"]


def test_without_the_database_everything_is_unavailable_and_nothing_is_granted() -> None:
    with temporary_folder() as folder:
        server = Postgres(folder / "postgres")
        with server as uri, installed(uri) as here:
            member = here.bound(here.workspace())
            opened, proof = here.login(member), {"code": here.code(member)}
            path, token = f"/v1/logins/{opened['login_id']}", opened["login_token"]
            server.stop()
            assert here.post(f"{path}/code", token, proof).told == (503, "unavailable")
            refuses_everything(here, Things(member, opened["login_id"]), token)
            server.restart()
            deadline = time.monotonic() + 10
            while (again := here.get(path, token)).status == 503:
                assert time.monotonic() < deadline
            assert again.body["state"] == "code_required"
            assert here.post(f"{path}/code", token, proof).status == 200


def refuses_everything(here: Installation, things: Things, login_token: str) -> None:
    """A pass is read without the database, and opens nothing without it."""
    granted = things.member.granted

    def call(route: Route) -> Reply:
        token = login_token if "login" in route.allowed else granted
        return here.call(route.method, things.path(route), token, route.body)

    with ThreadPoolExecutor(len(ROUTES)) as pool:  # each waits for a connection
        answers = list(pool.map(call, ROUTES))
    for route, answer in zip(ROUTES, answers, strict=True):
        assert answer.told == (503, "unavailable"), route.name
        assert int(answer.headers["Retry-After"]) >= 1
    access = here.get(f"/v1/access?workspace_id={things.member.workspace_id}", granted)
    assert access.told == (503, "unavailable")
    assert here.get("/healthz").status == 200


def test_readiness_names_the_part_that_fails(here: Installation) -> None:
    assert here.get("/readyz").body["status"] == "ok"

    def fail() -> None:
        raise RuntimeError

    unready = here.with_backend(checks={"database": lambda: None, "log": fail})
    answer = unready.get("/readyz")
    assert answer.status == 503
    assert answer.body == {
        "status": "unavailable",
        "parts": {"database": "ok", "log": "unavailable"},
    }


def test_an_unreadable_secret_stops_that_member_only(here: Installation) -> None:
    workspace = here.workspace()
    broken, other = here.bound(workspace), here.bound(workspace)
    here.twinlock.database.execute(
        "update vault_items set sealed = sealed || 'x' where owner = %s and item like 'totp/%%'",
        (f"member/{broken.id}",),
    )
    for member, status in ((broken, 503), (other, 200)):
        opened = here.login(member)
        assert opened["state"] == "code_required"
        path = f"/v1/logins/{opened['login_id']}/code"
        answer = here.post(path, opened["login_token"], {"code": here.code(member)})
        assert answer.status == status


def test_unreadable_words_and_names_hide_nobody_elses(here: Installation) -> None:
    workspace = here.workspace()
    broken, other = here.bound(workspace), here.bound(workspace)
    free = [here.member(workspace) for _ in range(2)]
    tickets = [here.ticket(member)["ticket_id"] for member in (broken, other)]
    here.twinlock.database.execute(
        "update vault_items set sealed = sealed || 'x' where owner = any(%s)",
        ([f"member/{member.id}" for member in (broken, free[0])],),
    )
    head = here.twinlock.store.head()
    queue = here.get(f"/v1/tickets?limit=500&at_least={head}", "support").body["items"]
    titles = {ticket["ticket_id"]: ticket["title"] for ticket in queue}
    assert [titles[ticket_id] for ticket_id in tickets] == [None, "Lost phone"]
    assert here.post(f"/v1/tickets/{tickets[0]}/claim", "support").status == 200
    path = f"/v1/workspaces/{workspace}/mfa-policy/preview?at_least={head}"
    names = {each["member_id"]: each["name"] for each in here.get(path, "host").body["items"]}
    assert [names[member.id] for member in free] == [None, "Somebody"]


def test_an_unreadable_event_stops_that_member_only(database: str) -> None:
    with installed(database) as here:
        workspace = here.workspace()
        broken, other = here.bound(workspace), here.bound(workspace)
        tickets = [here.ticket(member)["ticket_id"] for member in (broken, other)]
        here.twinlock.database.execute(
            "insert into stored_events (originator_id, originator_version, topic, state)"
            " select originator_id, max(originator_version) + 1, 'mfa.unbound.v1', 'no json'"
            " from stored_events where originator_id = %s group by originator_id",
            (f"member/{broken.id}",),
        )
        for member, refused in ((broken, True), (other, False)):
            asked = {"workspace_id": workspace, "member_id": member.id}
            check = f"/v1/login-checks?workspace_id={workspace}&member_id={member.id}"
            for answer in (
                here.post("/v1/logins", "host", asked),
                here.get(check, "host"),
                here.get(f"/v1/access?workspace_id={workspace}", member.granted),
            ):
                assert (answer.told == (503, "unavailable")) == refused, answer.text
                assert refused or answer.status in (200, 201), answer.text
        end = here.get("/v1/events?limit=500", "analyst").body["events"]
        assert "twinlock.unreadable.v1" in {event["type"] for event in end}
        head = here.twinlock.store.head()
        assert here.get(f"/v1/audit?at_least={head}", "auditor").status == 200
        confined = here.token("support", workspace, "near")
        for agent, seen in (("support", tickets), (confined, tickets[1:])):
            queue = here.get(f"/v1/tickets?at_least={head}", agent).body["items"]
            assert [ticket["ticket_id"] for ticket in queue] == seen


def test_each_request_leaves_one_line_with_the_route_and_no_secret(here: Installation) -> None:
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        member = here.bound(here.workspace())
        opened = here.login(member)
        here.post(
            f"/v1/logins/{opened['login_id']}/code",
            opened["login_token"],
            {"code": here.code(member)},
        )
        filed = here.ticket(member)
        here.get(f"/tickets/{filed['ticket_id']}/cancel?token=" + "S" * 40)
        here.get("/v1/agents", "S" * 40)
    text = json.dumps(lines, default=str)
    secret = (
        member.secret,
        member.granted,
        member.email,
        opened["login_token"],
        filed["ticket_token"],
        "S" * 40,
        here.tokens["host"],
        *member.recovery_codes,
    )
    for value in secret:
        assert value not in text
    routes = {line["route"] for line in lines if line["event"] == "answered"}
    assert "/v1/logins/<login_id>/code" in routes
    assert "/tickets/<ticket_id>/cancel" in routes
    assert all(len(line["request_id"]) == 32 for line in lines if line["event"] == "answered")


def test_metrics_tell_what_is_left_to_do(here: Installation) -> None:
    told = here.with_backend(metrics=True, backlog=partial(backlog, here.twinlock))
    here.workspace()
    text = told.get("/metrics").text
    assert 'twinlock_events_behind{model="mail-v1"} ' in text
    here.twinlock.database.execute(
        "insert into parked (model, partition, record_offset, reason, record)"
        " values ('standing-v1', 0, 0, 'odd', '')"
    )
    here.twinlock.database.execute(
        "insert into mail_queue (position, kind, recipient, subject_id,"
        " detail, expires_at, next_at, attempts)"
        " select late, 'mfa.bound', 'member', 'm', '', now(), now() - interval '1s' * late, tried"
        " from (values (55, 0), (65, 1), (-60, 5), (-61, 6)) as mails (late, tried)"
    )
    after = told.get("/metrics").text
    assert 'twinlock_parked_records{model="standing-v1"} 0.0' in text
    assert 'twinlock_parked_records{model="standing-v1"} 1.0' in after
    assert "twinlock_mails_overdue 2.0" in after
    here.twinlock.database.execute("truncate parked, mail_queue")


def test_what_was_done_is_answered_though_it_cannot_be_counted(
    here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(Metrics, "count", broken)
    put = here.put("/v1/workspaces/uncounted", "host", {"name": "A workspace"})
    assert put.status == 201
    assert here.get("/healthz").status == 200


def test_metrics_count_by_route_template(here: Installation) -> None:
    counted = here.with_backend(metrics=True)
    member = here.member(here.workspace())
    counted.get(f"/v1/members/{member.id}/mfa", "host")
    counted.get("/nothing/at/all")
    text = counted.get("/metrics").text
    assert (
        'twinlock_requests_total{method="GET",route="/v1/members/<member_id>/mfa",status="200"} 1.0'
        in text
    )
    assert member.id not in text
    assert "/nothing" not in text


@pytest.mark.parametrize(("chunks", "told"), [(3, (404, "not-found")), (70, (413, "too-large"))])
def test_chunked_bodies_are_read_and_cut_off_over_a_real_socket(
    here: Installation, port: int, chunks: int, told: tuple[int, str]
) -> None:
    body = [b'{"workspace_id": "w", "member_id": "m"', *[b" " * 1000] * chunks, b"}"]
    headers = {
        "Authorization": f"Bearer {here.tokens['host']}",
        "Content-Type": "application/json",
    }
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", "/v1/logins", iter(body), headers, encode_chunked=True)
    answer = connection.getresponse()
    slug = json.loads(answer.read())["type"].rpartition("/")[2]
    connection.close()
    assert (answer.status, slug) == told
