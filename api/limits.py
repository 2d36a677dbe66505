"""How often one address may call without a credential."""

import hashlib
import hmac
import ipaddress

from flask import request

from api.visits import Visit
from commands.ports import Desk
from domain.refusals import TooMany


def admit_anonymous(visit: Visit) -> None:
    """Count one call from the caller's address; raises TooMany beyond the limit of an hour."""
    backend = visit.backend
    address, limit = caller_address(visit.desk), backend.anonymous_limit
    wait = backend.limiter.admit("tickets", address, limit, visit.at)
    if wait is not None:
        raise TooMany("Too many calls from this address.", retry_after=wait)


def caller_address(desk: Desk) -> bytes:
    """The caller's address under a key: it is compared and counted, never shown."""
    return keyed_address(desk.keys.derived("addresses"), request.remote_addr or "")


def keyed_address(key: bytes, address: str) -> bytes:
    """An address, or its network of 64 bits, as HMAC-SHA-256."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        network = address
    else:
        mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
        one = mapped or parsed
        width = 32 if isinstance(one, ipaddress.IPv4Address) else 64
        network = str(ipaddress.ip_network((one, width), strict=False))
    return hmac.new(key, network.encode(), hashlib.sha256).digest()
