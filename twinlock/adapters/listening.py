"""Sockets that take nobody new while they are emptied.

Closing a listening socket resets the connections that the kernel has accepted for it and the
server has not: somebody is cut off. So beginnings are dropped first, for as long as the server
needs to take whom it has.
"""

import ctypes
import os
import signal
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

TAKE_NOBODY: Final = signal.SIGURG
"""Tells a serving process so; one that is still starting ignores it, as is the default."""

_SO_ATTACH_FILTER: Final = 26
_FLAGS: Final = 13
"""Where a TCP header has its flags (RFC 9293): 0x12 are SYN and ACK, 0x02 is SYN alone."""
_NO_SYN: Final = (
    (0x30, 0, 0, _FLAGS),  # load the byte
    (0x54, 0, 0, 0x12),  # of it, these two
    (0x15, 0, 1, 0x02),  # a beginning, or over the next line
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # keep
)
"""Classic BPF (Linux, filter.rst): code, jumps where true and where not, operand."""


def drop_beginnings() -> None:
    """Let no connection begin at any socket that this process listens on.

    Whoever would begin one asks again after a second (RFC 6298), and is refused by then or is
    answered by who listens there. On Linux alone: elsewhere it does nothing.
    """
    if sys.platform != "linux":
        return
    for held in Path("/proc/self/fd").iterdir():
        with suppress(OSError), socket.socket(fileno=os.dup(int(held.name))) as found:
            if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                _attach(found)


def _attach(listener: socket.socket) -> None:
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in _NO_SYN))
    said = struct.pack("HP", len(_NO_SYN), ctypes.addressof(program))
    listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, said)
