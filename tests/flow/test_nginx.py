"""A real nginx with the example's configuration in front of a small site."""

import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.flow.client import Client
from tests.flow.installation import ROOT, Installation
from tests.flow.people import (
    Person,
    a_bound_member,
    a_member,
    a_workspace,
    enforce,
    join,
    log_in,
    pass_with_code,
)
from tests.support.parts import go_without, temporary_folder
from twinlock.dev import child
from twinlock.dev.ports import LOOPBACK, free_port, listens

EXAMPLE = ROOT / "examples/nginx/twinlock.conf"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
MAIN = """
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/twinlock.conf;
}}
"""
pytestmark = pytest.mark.live


class Site(BaseHTTPRequestHandler):
    """Says which headers it was sent."""

    def do_GET(self) -> None:
        """Answer them as JSON."""
        content = json.dumps({name.lower(): v for name, v in self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@contextmanager
def small_site() -> Iterator[str]:
    """A site on a free port."""
    server = ThreadingHTTPServer((LOOPBACK, 0), Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"{LOOPBACK}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Door:
    """What stands behind nginx, and the way in."""

    here: Installation
    workspace: str
    visitor: Client


def changed(folder: Path, door: str, site: str, twinlock: str, workspace: str) -> None:
    """The example with this test's addresses; each has to stand in it as expected."""
    config = EXAMPLE.read_text()
    for old, new in (
        ("listen 127.0.0.1:8081;", f"listen {door};"),
        ("server 127.0.0.1:9000;", f"server {site};"),
        ("server 127.0.0.1:8080;", f"server {twinlock};"),
        ("workspace_id=demo;", f"workspace_id={workspace};"),
    ):
        assert config.count(old) == 1, old
        config = config.replace(old, new)
    (folder / "twinlock.conf").write_text(config)
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder))


@pytest.fixture(scope="module")
def door(small: Installation) -> Iterator[Door]:
    """A running nginx; one workspace is let in."""
    if NGINX is None:
        go_without("nginx is missing; run scripts/test-programs.sh")
    workspace, address = a_workspace(small), f"{LOOPBACK}:{free_port()}"
    with temporary_folder() as folder, small_site() as site:
        changed(folder, address, site, small.client.address, workspace)
        command = [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf")]
        nginx = child.start([*command, "-e", str(folder / "error.log")], log=folder / "out.log")
        try:
            deadline = time.monotonic() + 30
            while not listens(LOOPBACK, int(address.rpartition(":")[2])):
                assert nginx.poll() is None, (folder / "error.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield Door(small, workspace, Client(address))
        finally:
            child.stop(nginx)


def closes_within(door: Door, token: str, seconds: float) -> bool:
    """Whether a pass stops to open in that time."""
    deadline = time.monotonic() + seconds
    while door.visitor.get("/", token).status == 200:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return door.visitor.get("/", token).status == 401


@pytest.fixture
def person(door: Door) -> Person:
    """A member who has no authenticator."""
    return a_member(door.here, door.workspace)


def test_strangers_stay_outside(door: Door) -> None:
    assert door.visitor.get("/").status == 401
    assert door.visitor.get("/", "nonsense").status == 401
    assert door.visitor.get("/", door.here.tokens["host"]).status == 401
    assert door.visitor.get("/", **{"Remote-User": "demo-owner"}).status == 401
    assert door.visitor.get("/twinlock-access").status == 404


def test_browsers_are_sent_to_the_sign_in(door: Door) -> None:
    sent = door.visitor.get("/pages/report?of=may")
    assert sent.status == 302
    back = f"http://{door.visitor.address}/pages/report?of=may"
    assert sent.headers["location"] == f"https://host.example/sign-in?return={back}"


def test_a_pass_opens_and_the_site_learns_who_it_is(door: Door, person: Person) -> None:
    token = log_in(door.here, person)["pass"]
    for headers in ({"Authorization": f"Bearer {token}"}, {"Cookie": f"twinlock_pass={token}"}):
        for path in ("/", "/pages/"):
            genuine = {
                "remote-user": person.id,
                "remote-groups": "member",
                "remote-workspace": door.workspace,
                "remote-amr": "pwd",
            }
            seen = door.visitor.get(path, **headers, **dict.fromkeys(genuine, "forged"))
            assert seen.status == 200
            assert {name: seen.body.get(name) for name in genuine} == genuine
            assert token not in seen.content.decode()


def test_a_pass_of_another_workspace_does_not_open(door: Door, person: Person) -> None:
    other = a_workspace(door.here)
    join(door.here, person, other)
    assert door.visitor.get("/", log_in(door.here, person, other)["pass"]).status == 401


def test_a_revoked_pass_closes_within_five_seconds(door: Door, person: Person) -> None:
    token = log_in(door.here, person)["pass"]
    assert door.visitor.get("/", token).status == 200
    door.here.as_host("POST", f"/v1/members/{person.id}/sessions/revocation")
    assert closes_within(door, token, 5)


def test_an_enforced_policy_asks_for_more_than_a_password(door: Door, person: Person) -> None:
    bound = a_bound_member(door.here, door.workspace)
    strong, weak = pass_with_code(door.here, bound), log_in(door.here, person)["pass"]
    assert door.visitor.get("/", weak).status == 200
    enforce(door.here, door.workspace)
    try:
        assert closes_within(door, weak, 5)
        assert door.visitor.get("/", strong).body["remote-amr"] == "pwd,otp,mfa"
    finally:
        policy = f"/v1/workspaces/{door.workspace}/mfa-policy"
        door.here.as_host("PUT", policy, {"mode": "off"})
