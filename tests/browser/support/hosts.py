"""A host next to Twinlock: the example application, or only an address to come back to."""

import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.browser.support.people import Person
from tests.browser.support.site import Site
from twinlock.dev.ports import free_port

EXAMPLE = Path(__file__).parents[3] / "examples/host_app.py"


@contextmanager
def example_host(site: Site) -> Iterator[str]:
    """The example application, as `make run` starts it; answers its address."""
    listen = f"127.0.0.1:{free_port()}"
    env = {
        **os.environ,
        "TWINLOCK_URL": site.url,
        "TWINLOCK_HOST_TOKEN": site.host_token,
        "HOST_APP": listen,
    }
    process = subprocess.Popen([sys.executable, str(EXAMPLE)], env=env, stderr=subprocess.PIPE)
    try:
        _wait(f"http://{listen}/")
        yield f"http://{listen}"
    finally:
        process.terminate()
        process.communicate(timeout=10)


@contextmanager
def other_site(body: str = "came back") -> Iterator[str]:
    """A server of somebody else's: every address of it answers the same page."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(f"<!doctype html><title>Other</title>{body}".encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=partial(server.serve_forever, 0.05))
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def open_login(site: Site, person: Person, **more: Any) -> dict[str, Any]:
    """What a host asks for once the password was right."""
    body = {"workspace_id": person.workspace_id, "member_id": person.id, **more}
    return site.call("/v1/logins", token=site.host_token, body=body)


def refused(site: Site, path: str, body: Any, *, token: str | None = None) -> int:
    """The status of a call that the API says no to."""
    request = urllib.request.Request(
        site.url + path,
        data=json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {token or site.host_token}",
            "Content-Type": "application/json",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def _wait(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            assert time.monotonic() < deadline, f"{url} does not answer"
            time.sleep(0.1)
