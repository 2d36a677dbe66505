"""An SMTP server that keeps every mail as it came, read with nothing but the standard library."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from typing import Any

from aiosmtpd.controller import Controller

from twinlock.dev.ports import LOOPBACK, free_port

SIX_DIGITS = re.compile(r"^([0-9]{6})$", re.MULTILINE)
EIGHT_SIGNS = re.compile(r"^([0-9A-HJKMNP-TV-Z]{8})$", re.MULTILINE)
LINK = re.compile(r"^(https?://\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Letter:
    """A mail as it came over SMTP."""

    to: str
    raw: bytes

    @property
    def subject(self) -> str:
        """Its subject."""
        return str(message_from_bytes(self.raw, policy=policy.default)["Subject"])

    @property
    def text(self) -> str:
        """Its plain text."""
        part = message_from_bytes(self.raw, policy=policy.default).get_body(("plain",))
        return "" if part is None else str(part.get_content()).replace("\r\n", "\n")


@dataclass
class Postbox:
    """The mails, oldest first."""

    smtp: str
    letters: list[Letter] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """Keep a mail; aiosmtpd calls this."""
        with self.arrived:
            self.letters += [Letter(to, envelope.content) for to in envelope.rcpt_tos]
            self.arrived.notify_all()
        return "250 OK"

    def wait(self, to: str, pattern: re.Pattern[str], after: int = 0, timeout: float = 60) -> str:
        """What the pattern finds in the first such mail to this address behind `after` mails."""
        deadline = time.monotonic() + timeout
        with self.arrived:
            while True:
                for letter in self.letters[after:]:
                    found = pattern.search(f"{letter.subject}\n{letter.text}")
                    if letter.to == to and found:
                        return found[found.lastindex or 0]
                left = deadline - time.monotonic()
                assert left > 0, f"no mail to {to} with {pattern.pattern}"
                self.arrived.wait(left)

    @property
    def count(self) -> int:
        """How many mails there are."""
        return len(self.letters)


@contextmanager
def open_postbox(kind: type[Postbox] = Postbox) -> Iterator[Postbox]:
    """Listen on a free port until the end."""
    port = free_port()
    postbox = kind(f"{LOOPBACK}:{port}")
    controller = Controller(postbox, hostname=LOOPBACK, port=port)
    controller.start()
    try:
        yield postbox
    finally:
        controller.stop()
