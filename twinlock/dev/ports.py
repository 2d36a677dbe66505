"""Free ports on the loopback address, and the wait until something listens on one."""

import socket
import time

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """Answer a TCP port that is free on the loopback address at this moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def is_taken(host: str, port: int) -> bool:
    """Say whether a server cannot be bound to this address."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def listens(host: str, port: int) -> bool:
    """Say whether somebody accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def split_address(address: str) -> tuple[str, int]:
    """Split `host:port`, IPv6 in brackets included; ValueError if it is not one."""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or not host:
        raise ValueError(f"not host:port: {address!r}")
    return host.strip("[]"), int(port)


def pause() -> None:
    """Wait the little while between two looks at a part that is starting."""
    time.sleep(0.05)
