"""A mail server that can be away, and that can take its time."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from aiosmtpd.controller import Controller

from tests.flow.postbox import Postbox
from twinlock.dev.ports import LOOPBACK, free_port


@dataclass
class Tarpit(Postbox):
    """A postbox that takes `seconds` for each mail."""

    seconds: float = 0.0
    server: Any = None

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """Take the time; aiosmtpd calls this."""
        if self.seconds:
            await asyncio.sleep(self.seconds)
        return await super().handle_DATA(server, session, envelope)

    def resume(self) -> None:
        """Listen."""
        host, _, port = self.smtp.rpartition(":")
        self.server = Controller(self, hostname=host, port=int(port))
        self.server.start()

    def pause(self) -> None:
        """Refuse connections, until `resume`."""
        self.server.stop()


@contextmanager
def open_tarpit() -> Iterator[Tarpit]:
    """Listen on a free port until the end."""
    box = Tarpit(f"{LOOPBACK}:{free_port()}")
    box.resume()
    try:
        yield box
    finally:
        box.pause()
