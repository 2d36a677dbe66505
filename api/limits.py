"""How often one address may call without a credential."""

import hashlib
import hmac
import ipaddress
import re

from flask import request

from api.backend import Backend
from api.visits import Visit
from domain.refusals import TooMany

WITH_PORT = re.compile(r"\[([^\[\]]+)\](?::[0-9]+)?|([0-9.]+):[0-9]+", re.ASCII)
"""How some proxies write an address."""


def admit_anonymous(visit: Visit) -> None:
    """Count one call from the caller's address; raises TooMany beyond the limit of an hour."""
    backend = visit.backend
    address, limit = caller_address(backend), backend.anonymous_limit
    wait = backend.limiter.admit("tickets", address, limit, visit.at)
    if wait is not None:
        raise TooMany("Too many calls from this address.", retry_after=wait)


def caller_address(backend: Backend) -> bytes:
    """The caller's address under a key: it is compared and counted, never shown."""
    key = backend.desk.keys.derived("addresses")
    return keyed_address(key, _address(backend.trusted_proxies))


def _address(proxies: int) -> str:
    """Who called the first of so many proxies: each adds whom it saw at the end.

    Read as it is written, and not by ProxyFix: to that a quote that a client opens hides the rest.
    """
    seen = request.headers.get("X-Forwarded-For", "").split(",")
    forwarded = seen[-proxies].strip() if 0 < proxies <= len(seen) else ""
    return forwarded or request.remote_addr or ""


def keyed_address(key: bytes, address: str) -> bytes:
    """An address, or its network of 64 bits, as HMAC-SHA-256."""
    if written := WITH_PORT.fullmatch(address):
        address = written[1] or written[2]
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
