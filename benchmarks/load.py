"""A light load generator: keep-alive connections over raw sockets, driven by one selector."""

import gc
import re
import selectors
import socket
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

LENGTH = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)")
PATIENCE = 30.0


@dataclass
class Load:
    """What came back: requests a second, how long each took in ms, and their statuses.

    `cpu` is the processor time in microseconds that servers and database spent on each.
    """

    rate: float
    took: list[float] = field(repr=False)
    statuses: Counter[int]
    cpu: float = 0.0

    def percentile(self, share: float) -> float:
        """The time in ms that this share of the requests was answered within."""
        return sorted(self.took)[min(len(self.took) - 1, int(len(self.took) * share))]


class _Connection:
    """One client: it sends the next request when the last one is answered."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = b""
        self._sent_at = 0.0

    def send(self, request: bytes) -> None:
        self._read, self._sent_at = b"", time.perf_counter()
        self.socket.sendall(request)

    def answered(self) -> tuple[int, float] | None:
        """Status and ms, once the whole answer is there."""
        piece = self.socket.recv(65536)
        if not piece:
            raise ConnectionError("the server hung up")
        self._read += piece
        head, end, body = self._read.partition(b"\r\n\r\n")
        if not end:
            return None
        length = LENGTH.search(head)
        if length and len(body) < int(length[1]):
            return None
        return int(head[9:12]), (time.perf_counter() - self._sent_at) * 1000


def drive(address: str, requests: Iterator[bytes], clients: int, seconds: float) -> Load:
    """Send for so long, or until no request is left; every request sent is waited for."""
    host, _, port = address.rpartition(":")
    connections = [_Connection((host, int(port))) for _ in range(clients)]
    load = Load(0.0, [], Counter())
    gc.collect()
    gc.disable()
    begun = time.perf_counter()
    try:
        _drive(connections, requests, begun + seconds, load)
    finally:
        gc.enable()
        for connection in connections:
            connection.socket.close()
    load.rate = len(load.took) / (time.perf_counter() - begun)
    return load


def _drive(
    connections: list[_Connection], requests: Iterator[bytes], until: float, load: Load
) -> None:
    with selectors.DefaultSelector() as selector:
        waiting = 0
        for connection in connections:
            if (request := next(requests, None)) is not None:
                selector.register(connection.socket, selectors.EVENT_READ, connection)
                connection.send(request)
                waiting += 1
        while waiting:
            ready = selector.select(PATIENCE)
            if not ready:
                raise TimeoutError("no answer")
            for key, _ in ready:
                if (answer := key.data.answered()) is None:
                    continue
                load.statuses[answer[0]] += 1
                load.took.append(answer[1])
                request = next(requests, None) if time.perf_counter() < until else None
                if request is None:
                    waiting -= 1
                else:
                    key.data.send(request)


def written(method: str, path: str, token: str = "", body: bytes = b"") -> bytes:
    """A request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "Host: bench"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body
