"""`twinlock serve`: granian in WSGI mode, stopped in order within ten seconds."""

from typing import Final

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from twinlock.settings import Settings

STOP_SECONDS: Final = 8
BACKLOG: Final = 1024


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; requests under way are answered."""
    host, _, port = settings.http.rpartition(":")
    Granian(
        "twinlock.wsgi:create",
        factory=True,
        address=host.strip("[]"),
        port=int(port),
        interface=Interfaces.WSGI,
        workers=settings.workers,
        blocking_threads=settings.threads,
        backlog=BACKLOG,
        respawn_failed_workers=True,
        respawn_interval=0.5,
        workers_kill_timeout=STOP_SECONDS,
        log_level=LogLevels.warning,
    ).serve()
