"""`twinlock serve`: granian in WSGI mode, stopped in order within ten seconds."""

import errno
import os
import socket
import time
from tempfile import TemporaryDirectory
from typing import Any, Final

import structlog
from granian._granian import SocketHolder
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server.mp import MPServer

from twinlock.adapters.listening import drain
from twinlock.settings import Settings

STOP_SECONDS: Final = 8
BACKLOG: Final = 1024
FREED_SECONDS: Final = 12
"""The processes of a server that was killed end by themselves within this."""


class Server(MPServer):
    """Its processes share one queue of connections, which outlives each of them.

    The library has such a queue on other systems; on Linux it gives each process one of its own,
    and lets another server have the same address.
    """

    def __init__(self, target: str, address: str, **said: Any) -> None:
        """Listen, but serve nobody yet; raises OSError where the address cannot be had."""
        host, _, port = address.rpartition(":")
        host = host.strip("[]")
        self._listener = _listening(host, int(port))
        super().__init__(
            target,
            factory=True,
            interface=Interfaces.WSGI,
            address=host,
            port=int(port),
            respawn_failed_workers=True,
            respawn_interval=0.5,
            workers_kill_timeout=STOP_SECONDS,
            log_level=LogLevels.warning,
            **said,
        )

    def _init_shared_socket(self) -> None:
        self._ssp = None
        self._sso = self._listener
        holder = SocketHolder(self._listener.fileno(), False, BACKLOG)  # type: ignore[call-arg]
        self._shd = holder  # type: ignore[assignment]

    def shutdown(self, exit_code: int = 0) -> None:
        """Take nobody new, and then stop the processes; they answer whom they have."""
        drain(self._listener)
        super().shutdown(exit_code)  # type: ignore[no-untyped-call]


def _listening(host: str, port: int) -> socket.socket:
    """The socket, once nobody else has the address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    until = None
    while True:
        try:
            listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
            listener.setblocking(False)
            return listener
        except OSError as error:
            if error.errno != errno.EADDRINUSE or (until and time.monotonic() > until):
                raise
        if until is None:
            until = time.monotonic() + FREED_SECONDS
            structlog.get_logger("serve").warning("address.taken", waits=FREED_SECONDS)
        time.sleep(0.1)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are answered. Raises OSError."""
    server = Server(
        "twinlock.wsgi:create",
        settings.http,
        workers=settings.workers,
        blocking_threads=settings.threads,
    )
    if not settings.metrics:
        server.serve()
        return
    with TemporaryDirectory(prefix="twinlock-counters-") as folder:
        # The library looks at this when it is first imported: in the processes.
        os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", folder)
        server.serve()
