"""The installation that the tests of a module share."""

import threading
from collections.abc import Iterator

import pytest
from werkzeug.serving import make_server

from tests.http.installation import Installation, installed


@pytest.fixture(scope="module")
def here(module_database: str) -> Iterator[Installation]:
    """A running installation; tests make workspaces and members of their own."""
    with installed(module_database) as installation:
        yield installation


@pytest.fixture(scope="module")
def port(here: Installation) -> Iterator[int]:
    """The application behind a real socket."""
    server = make_server("127.0.0.1", 0, here.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()
