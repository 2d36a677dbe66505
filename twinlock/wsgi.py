"""The WSGI application, made in each server process after the fork: `twinlock.wsgi:create()`."""

import multiprocessing
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

from api.app import create_app
from twinlock import logs
from twinlock.adapters.listening import TAKE_NOBODY, drop_beginnings
from twinlock.backend import backend
from twinlock.composition import build
from twinlock.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

ORPHAN_SECONDS = 10
ENDING = {signal.SIGTERM, signal.SIGINT}


def create() -> "WSGIApplication":
    """Read the settings, build, and answer the application; raises WrongSetting."""
    logs.configure()
    _end_with_the_server()
    handed = backend(build(Settings.read()))
    if threading.current_thread() is threading.main_thread():
        _hear_of_the_end(handed.streams.stopping)
    return create_app(handed).wsgi_app


def _end_with_the_server() -> None:
    """Have this process end when the one that started it is gone: killed, it tells nobody."""
    server = multiprocessing.parent_process()
    if server is not None:
        threading.Thread(
            target=_watch, args=(server.pid,), name="twinlock-orphan", daemon=True
        ).start()


def _watch(server: int | None) -> None:
    while os.getppid() == server:
        time.sleep(1)
    for _ in range(ORPHAN_SECONDS):  # a process that is still starting passes the signal over
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)
    os._exit(1)


def _hear_of_the_end(stopping: threading.Event) -> None:
    """Take nobody new before the end, and have streams end at it: the server waits for them.

    Handlers are the server's own; Python writes the numbers of signals to this pipe as well.
    """
    signal.signal(TAKE_NOBODY, lambda *_: None)
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)

    def listen() -> None:
        while not stopping.is_set():
            numbers = set(os.read(told, 64))
            if TAKE_NOBODY in numbers:
                drop_beginnings()
            if ENDING & numbers:
                stopping.set()

    threading.Thread(target=listen, name="twinlock-ending", daemon=True).start()
