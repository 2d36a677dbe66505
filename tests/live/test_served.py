"""The real server: streams neither starve requests nor hold up the end, and nobody outlives it."""

import http.client
import json
import os
import re
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.request import urlopen

import pytest

from domain.member_mfa import MemberMFA
from tests.flow.histories import a_workspace, append, joined
from tests.support.command_line import run_twinlock
from tests.support.served import get, served, serving
from twinlock.composition import Twinlock

__all__ = ["served"]
pytestmark = pytest.mark.live


def _stream(address: str, token: str) -> tuple[http.client.HTTPConnection, int, object]:
    connection = http.client.HTTPConnection(address, timeout=30)
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
    connection.request("GET", "/v1/events", headers=headers)
    answer = connection.getresponse()
    return connection, answer.status, answer


def test_streams_leave_room_for_requests_and_end_with_the_server(
    twinlock: Twinlock, served: tuple[str, subprocess.Popen[bytes]]
) -> None:
    address, server = served
    a_workspace(twinlock, ["m1"])
    token = run_twinlock(
        twinlock, "token", "create", "--role", "analyst", "--name", "t"
    ).out.strip()
    connection, status, answer = _stream(address, token)
    assert status == 200
    position = append(twinlock, MemberMFA, "m2", *joined("m2"))
    begun, found = time.monotonic(), ""
    while f'"id":"{position}"' not in found:
        found = answer.readline().decode()  # type: ignore[attr-defined]
        assert time.monotonic() - begun < 30
    assert json.loads(found.partition(": ")[2])["subject"] == "workspace/w"

    others = [_stream(address, token) for _ in range(8)]
    statuses = [status for _, status, _ in others]
    assert statuses.count(200) <= 3
    assert set(statuses) == {200, 503}
    assert [get(address, "/healthz") for _ in range(20)] == [200] * 20
    for each, *_ in others:
        each.close()

    begun = time.monotonic()
    os.kill(server.pid, signal.SIGTERM)
    assert server.wait(60) == 0
    took = time.monotonic() - begun
    connection.close()
    assert took < 20, took  # ten seconds, and as many again for a busy machine
    print(f"stopped in {took:.1f} s")


def test_nobody_serves_on_when_the_server_was_killed(
    twinlock: Twinlock, served: tuple[str, subprocess.Popen[bytes]]
) -> None:
    address, server = served
    os.kill(server.pid, signal.SIGKILL)
    server.wait(60)
    with serving(twinlock, address) as (_, following):
        assert following.poll() is None
    until = time.monotonic() + 60
    while _listens(address):
        assert time.monotonic() < until
        time.sleep(0.1)


def _listens(address: str) -> bool:
    try:
        return get(address, "/healthz") == 200
    except OSError:
        return False


def test_a_stop_cuts_nobody_off(served: tuple[str, subprocess.Popen[bytes]]) -> None:
    address, server = served
    with ThreadPoolExecutor(16) as clients:
        told = [clients.submit(_until_refused, address) for _ in range(16)]
        time.sleep(2)
        os.kill(server.pid, signal.SIGTERM)
        answered = [client.result() for client in told]
    assert server.wait(60) == 0
    assert min(answered) > 0


def test_the_processes_of_a_server_count_together(twinlock: Twinlock) -> None:
    with serving(twinlock, METRICS="true", WORKERS="2") as (address, _):
        asked = sum(get(address, "/readyz") == 200 for _ in range(30))
        counts = {_counted(address, "/readyz") for _ in range(6)}
    assert counts == {asked}


def _counted(address: str, route: str) -> int:
    with urlopen(f"http://{address}/metrics") as answer:
        text = answer.read().decode()
    found = re.search(rf'twinlock_requests_total{{.*route="{route}".*}} ([0-9.]+)', text)
    assert found
    return int(float(found[1]))


def _until_refused(address: str) -> int:
    """How many requests were answered; raises where one that was taken is not."""
    count = 0
    with suppress(ConnectionRefusedError):
        while get(address, "/healthz") == 200:
            count += 1
    return count


def test_an_address_that_is_taken_is_named_in_one_line(
    twinlock: Twinlock, served: tuple[str, subprocess.Popen[bytes]]
) -> None:
    address, _ = served
    said = run_twinlock(twinlock, "serve", HTTP=address)
    assert said.code == 2
    told, reason = said.err.splitlines()
    assert '"event": "address.taken"' in told
    assert reason == f"twinlock: TWINLOCK_HTTP: {address}: Address already in use"
