"""A worker process for tests that kill it: `python -m tests.flow.worker_process NAME...`."""

import os
import signal
import sys
import threading
from typing import Any

from pydantic import SecretStr

from twinlock.backend import parts
from twinlock.composition import build
from twinlock.settings import Settings
from workers.run import run_workers


def main() -> None:
    """Run the named workers until SIGTERM; settings come from the environment.

    Says so on standard output once it can be told to stop.
    """
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    print("ready", flush=True)
    given: dict[str, Any] = {
        "database": SecretStr(os.environ["T_DATABASE"]),
        "master_key": SecretStr(os.environ["T_MASTER_KEY"]),
        "kafka": os.environ["T_KAFKA"],
        "topic": os.environ["T_TOPIC"],
    }
    twinlock = build(Settings(_env_file=None, **given))  # type: ignore[call-arg]
    ended = run_workers(sys.argv[1:], parts(twinlock), stop)
    twinlock.close()
    sys.exit(0 if ended else 1)


if __name__ == "__main__":
    main()
