"""Reaching brokers, or not: then nothing of the client is left, and the reason is told."""

import logging
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from kafka.errors import KafkaError
from kafka.net.compat import KafkaNetClient

from twinlock.adapters.faults import named
from workers.ports import LogUnavailable

HANGING_UP = ("SaslAuthenticationFailed", "UnsupportedSaslMechanism", "socket disconnected")
"""How a failed login is told: kafka-python 3.0.12 loses the answer that comes with the end."""
HANGS_UP = "the broker hangs up: protocol, mechanism, user or password may be wrong"


class _Refusals:
    """Why brokers did not let us in, as far as the client has heard it."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def hear(self, record: logging.LogRecord) -> None:
        """Keep what says more than that nobody answered; what TLS says comes first."""
        told = record.args if isinstance(record.args, tuple) else ()
        faults = [*told, *(getattr(each, "__context__", None) for each in told)]
        found = [named(fault) for fault in faults if isinstance(fault, ssl.SSLError)]
        self.reasons[:0] = found
        if not found and any(word in record.getMessage() for word in HANGING_UP):
            self.reasons.append(HANGS_UP)


class _Ear(logging.Filter):
    """Hears what the client says of its attempts, and lets nothing of it into the logs.

    Whoever keeps such a line keeps the sockets of its attempt open.
    """

    def __init__(self) -> None:
        super().__init__()
        self.listeners: list[_Refusals] = []

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell everybody who is at it: they all ask the same brokers."""
        for listener in tuple(self.listeners):
            listener.hear(record)
        return False


EAR: Final = _Ear()


def silence() -> None:
    """Keep the client's lines out of the logs."""
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    attempts = logging.getLogger("kafka.net.manager")
    attempts.setLevel(logging.WARNING)
    attempts.addFilter(EAR)


@contextmanager
def reaching() -> Iterator[None]:
    """Raise LogUnavailable for the client's errors, with what they came of."""
    refusals = _Refusals()
    EAR.listeners.append(refusals)
    try:
        yield
    except (KafkaError, OSError) as error:
        raise LogUnavailable(next(iter(refusals.reasons), named(error))) from error
    finally:
        EAR.listeners.remove(refusals)


def connected(kind: Callable[..., Any], **settings: Any) -> Any:
    """Make an admin client, a producer or a consumer.

    kafka-python 3.0.12 leaves a thread with its sockets where it fails to: it is ended here.
    """
    made: list[KafkaNetClient] = []

    def client(**given: Any) -> KafkaNetClient:
        made.append(KafkaNetClient(**given))
        return made[-1]

    try:
        return kind(kafka_client=client, **settings)
    except BaseException:
        for each in made:
            each.close()
        raise
