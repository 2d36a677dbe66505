"""The WSGI application, made in each server process after the fork: `twinlock.wsgi:create()`."""

import os
import signal
import threading
from typing import TYPE_CHECKING

from api.app import create_app
from twinlock import logs
from twinlock.backend import backend
from twinlock.composition import build
from twinlock.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

ENDING = {signal.SIGTERM, signal.SIGINT}


def create() -> "WSGIApplication":
    """Read the settings, build, and answer the application; raises WrongSetting."""
    logs.configure()
    handed = backend(build(Settings.read()))
    if threading.current_thread() is threading.main_thread():
        _tell_the_end(handed.streams.stopping)
    return create_app(handed).wsgi_app


def _tell_the_end(stopping: threading.Event) -> None:
    """Have streams end when the server is told to: it would wait for them.

    The handlers are the server's own; Python writes the numbers of signals to this pipe as well.
    """
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)

    def listen() -> None:
        while not stopping.is_set():
            if ENDING & set(os.read(told, 64)):
                stopping.set()

    threading.Thread(target=listen, name="twinlock-ending", daemon=True).start()
