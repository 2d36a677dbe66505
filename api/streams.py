"""What is sent as it is read: how much at once, how a stream is written, and when one ends."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from domain.refusals import Unavailable

PAUSE = 0.25
BEAT_SECONDS = 4.5
"""So often a silent stream says that it lives, and a credential is looked at again, within 5 s."""
COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

Page = tuple[Sequence[Mapping[str, Any]], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """So many answers of one process that are sent as they are read: each holds a thread."""

    most: int = 2
    _open: list[object] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self) -> Callable[[], None]:
        """Take a place, and answer how to give it back; raises Unavailable where all are taken."""
        place = object()
        with self._lock:
            if len(self._open) >= self.most:
                detail = "All places are taken: ask again, or read pages."
                raise Unavailable(detail, retry_after=5)
            self._open.append(place)

        def give_back() -> None:
            with self._lock:
                if place in self._open:
                    self._open.remove(place)

        return give_back


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams(Places):
    """The streams of one process, of which none lives longer than `seconds`."""

    seconds: float = 300.0
    stopping: threading.Event = field(default_factory=threading.Event)

    def lines(
        self, read: Callable[[int], Page], after: int, holds: Callable[[], bool]
    ) -> Iterator[bytes]:
        """The stream behind a position, until its time is over or the credential is void."""
        ends, beat = time.monotonic() + self.seconds, time.monotonic() + BEAT_SECONDS
        yield b"retry: 1000\n\n"
        try:
            while time.monotonic() < ends and not self.stopping.is_set():
                events, after = read(after)
                if events:
                    yield b"".join(_block(event) for event in events)
                if time.monotonic() >= beat:
                    if not holds():
                        return
                    beat = time.monotonic() + BEAT_SECONDS
                    yield f": still here\nid: {after}\n\n".encode()
                if not events:
                    self.stopping.wait(PAUSE)
        except Unavailable:
            return


def _block(event: Mapping[str, Any]) -> bytes:
    return f"id: {event['id']}\ndata: {COMPACT.encode(event)}\n\n".encode()
