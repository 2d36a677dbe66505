"""HTTP over a socket with the standard library alone; it remembers every answer."""

import json
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any, NamedTuple


class Call(NamedTuple):
    """A request to make; `token` is the bearer's."""

    method: str
    path: str
    token: str | None = None
    body: Any = None


@dataclass(frozen=True)
class Reply:
    """What came back."""

    call: Call
    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        """The JSON; None where there is none."""
        return json.loads(self.content) if self.content else None

    @property
    def slug(self) -> str:
        """Why not."""
        return str(self.body["type"]).rpartition("/")[2] if self.status >= 400 else ""

    @property
    def told(self) -> tuple[int, str]:
        """Status and slug."""
        return self.status, self.slug

    @property
    def position(self) -> int:
        """The position of the last event that the command appended."""
        return int(self.headers["twinlock-position"])

    @property
    def raw(self) -> bytes:
        """Everything that came back, in bytes."""
        lines = "".join(f"{name}: {value}\n" for name, value in self.headers.items())
        return lines.encode() + b"\n" + self.content


class Client:
    """Calls one server, each time on a new connection."""

    def __init__(
        self, address: str, timeout: float = 30, headers: Mapping[str, str] | None = None
    ) -> None:
        """Connect to nothing yet; `address` is `host:port`, `headers` go along with each call."""
        self.address = address
        self._timeout = timeout
        self._headers = headers or {}
        self.replies: list[Reply] = []

    def call(
        self,
        method: str,
        path: str,
        token: str | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Make a request."""
        return self._make(Call(method, path, token, body), self._connected(), headers or {})

    def get(self, path: str, token: str | None = None, **headers: str) -> Reply:
        """Ask."""
        return self.call("GET", path, token, headers=headers)

    def post(self, path: str, token: str | None = None, body: Any = None) -> Reply:
        """Command."""
        return self.call("POST", path, token, body)

    def put(self, path: str, token: str | None = None, body: Any = None) -> Reply:
        """Put in place."""
        return self.call("PUT", path, token, body)

    def together(self, calls: Sequence[Call]) -> list[Reply]:
        """Make them at the same moment, each on a connection that stands already."""
        start = threading.Barrier(len(calls))

        def one(call: Call) -> Reply:
            connection = self._connected()
            start.wait(self._timeout)
            return self._make(call, connection, {})

        with ThreadPoolExecutor(len(calls)) as pool:
            return list(pool.map(one, calls))

    def _connected(self) -> HTTPConnection:
        host, _, port = self.address.rpartition(":")
        connection = HTTPConnection(host, int(port), timeout=self._timeout)
        connection.connect()
        return connection

    def _make(self, call: Call, connection: HTTPConnection, more: Mapping[str, str]) -> Reply:
        headers = {**self._headers, **more}
        if call.token is not None:
            headers["Authorization"] = f"Bearer {call.token}"
        if call.body is not None:
            headers["Content-Type"] = "application/json"
        content = None if call.body is None else json.dumps(call.body)
        try:
            connection.request(call.method, call.path, content, headers)
            answer = connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            reply = Reply(call, answer.status, named, answer.read())
        finally:
            connection.close()
        self.replies.append(reply)
        return reply
