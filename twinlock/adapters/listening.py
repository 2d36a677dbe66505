"""A listening socket that takes nobody new, and cuts nobody off who is in its queue.

Closing one resets the connections that the kernel has accepted and the server has not.
"""

import ctypes
import socket
import struct
import time
from typing import Final

SETTLED: Final = 0.25
"""Seconds in which a handshake under way ends, and a request arrives on what it opened."""
PATIENCE: Final = 1.5
LOOK: Final = 0.02

_SO_ATTACH_FILTER: Final = 26
_FLAGS: Final = 13
"""Where a TCP header has its flags (RFC 9293); 0x12 are SYN and ACK, 0x02 is SYN alone."""
_NO_SYN: Final = (
    (0x30, 0, 0, _FLAGS),  # load the byte
    (0x54, 0, 0, 0x12),  # and it
    (0x15, 0, 1, 0x02),  # equal, or over the next one
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # keep
)
"""Classic BPF (Linux, filter.rst): code, jumps where true and false, operand."""
_QUEUED: Final = 24
"""Where the TCP_INFO of a listening socket has the length of its queue (Linux, tcp.h)."""


def drain(listener: socket.socket) -> None:
    """Let no connection begin, and return when those that had begun are with the server.

    Whoever would begin one asks again after a second (RFC 6298), and is refused or is answered by
    who listens then. Returns after `PATIENCE` seconds in any case.
    """
    end = time.monotonic() + PATIENCE
    _refuse_beginnings(listener)
    time.sleep(SETTLED)
    while _queued(listener) and time.monotonic() < end:
        time.sleep(LOOK)
    time.sleep(LOOK)


def _refuse_beginnings(listener: socket.socket) -> None:
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in _NO_SYN))
    said = struct.pack("HP", len(_NO_SYN), ctypes.addressof(program))
    listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, said)


def _queued(listener: socket.socket) -> int:
    info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _QUEUED + 4)
    return int.from_bytes(info[_QUEUED:], "little")
