"""The real server, in processes of its own."""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.command_line import ROOT, environment
from twinlock.composition import Twinlock
from twinlock.dev.ports import LOOPBACK, free_port


@pytest.fixture
def served(twinlock: Twinlock) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The server's address and its process."""
    with serving(twinlock) as address_and_process:
        yield address_and_process


@contextmanager
def serving(
    twinlock: Twinlock, address: str = "", **more: str
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A server with more settings: its address and its process, which is stopped at the end."""
    address = address or f"{LOOPBACK}:{free_port()}"
    command = [sys.executable, "-m", "twinlock", "serve"]
    env = environment(twinlock, HTTP=address, **more)
    with subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.DEVNULL) as server:
        try:
            until_ready(address)
            yield address, server
        finally:
            if server.poll() is None:
                os.kill(server.pid, signal.SIGTERM)
            server.wait(60)


def until_ready(address: str) -> None:
    """Wait for its first answer."""
    for _ in range(600):
        try:
            if get(address, "/healthz") == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server never answered")


def get(address: str, path: str) -> int:
    """The status of a request without a credential."""
    connection = http.client.HTTPConnection(address, timeout=30)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()
