"""`twinlock serve`: granian in WSGI mode, stopped in order within ten seconds."""

import errno
import os
import socket
import time
from contextlib import suppress
from tempfile import TemporaryDirectory
from typing import Final

import structlog
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.mp import MPServer

from twinlock.adapters.listening import TAKE_NOBODY
from twinlock.settings import Settings

STOP_SECONDS: Final = 8
BACKLOG: Final = 1024
FREED_SECONDS: Final = 12
"""The processes of a server that was killed end by themselves within this."""
SETTLED_SECONDS: Final = 0.25
"""In which a handshake under way ends, and its request arrives."""


class Server(MPServer):
    """Cuts nobody off at its end."""

    def shutdown(self, exit_code: int = 0) -> None:
        """Take nobody new, and then stop the processes; they answer whom they have."""
        for process in self.wrks:
            with suppress(ProcessLookupError):
                os.kill(process.inner.pid, TAKE_NOBODY)
        time.sleep(SETTLED_SECONDS)
        super().shutdown(exit_code)  # type: ignore[no-untyped-call]


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are answered.

    Raises OSError where the address cannot be had.
    """
    host, _, port = settings.http.rpartition(":")
    host = host.strip("[]")
    _wait_until_free(host, int(port))
    server = Server(
        "twinlock.wsgi:create",
        factory=True,
        address=host,
        port=int(port),
        interface=Interfaces.WSGI,
        workers=settings.workers,
        blocking_threads=settings.threads,
        backlog=BACKLOG,
        respawn_failed_workers=True,
        respawn_interval=0.5,
        workers_kill_timeout=STOP_SECONDS,
        log_level=LogLevels.warning,
    )
    if not settings.metrics:
        server.serve()
        return
    with TemporaryDirectory(prefix="twinlock-counters-") as folder:
        # The library looks at this when it is first imported: in the processes.
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", folder)
        server.serve()


def _wait_until_free(host: str, port: int) -> None:
    """The server itself would share an address that is served already, and nobody would notice."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    until = None
    while True:
        try:
            socket.create_server((host, port), family=family).close()
            return
        except OSError as error:
            if error.errno != errno.EADDRINUSE or (until and time.monotonic() > until):
                raise
        if until is None:
            until = time.monotonic() + FREED_SECONDS
            structlog.get_logger("serve").warning("address.taken", waits=FREED_SECONDS)
        time.sleep(0.1)
