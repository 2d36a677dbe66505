"""`python -m twinlock.dev.failing COMMAND...`: Twinlock with failpoints, for fault tests only.

With `--again` the command runs in a child that is forked anew whenever it ends, as a supervisor
of processes would start it anew: a crash then costs a fork, and not the start of an interpreter.
"""

import ctypes
import faulthandler
import os
import signal
import sys
import time
from pathlib import Path

from twinlock.cli import main as command_line
from twinlock.dev.failpoints import PLAN, Failpoints

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Arm the failpoints and run the command line; SIGUSR1 has all threads say where they are."""
    faulthandler.register(signal.SIGUSR1)
    again = sys.argv[1:2] == ["--again"]
    if again:
        del sys.argv[1]
    Failpoints(Path(os.environ[PLAN])).arm()
    if again:
        _again_and_again()
    else:
        command_line()


def _again_and_again() -> None:
    """Fork a child after the other until SIGTERM, which is passed on."""
    children: list[int] = []
    told: list[int] = []
    status = 0

    def pass_on(number: int, _: object) -> None:
        told.append(number)
        os.kill(children[-1], number)

    while not told:
        children.append(os.fork())
        if children[-1] == 0:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            command_line()
            os._exit(0)
        signal.signal(signal.SIGTERM, pass_on)
        status = os.waitstatus_to_exitcode(os.waitpid(children[-1], 0)[1])
        time.sleep(0.05)
    sys.exit(max(status, 0))


if __name__ == "__main__":
    main()
