"""Mail over SMTP, one connection for each mail, with time limits."""

import smtplib
import ssl
from contextlib import closing, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Literal

from twinlock.adapters.faults import named
from workers.ports import MailDelayed, Undeliverable

SECONDS = 10
ACCEPTS = 45
"""Seconds that a server may take to accept a mail, less than whoever sends it has it to himself.

Who does not wait for the answer sends another copy (RFC 5321 section 4.5.3.2.6).
"""


@dataclass(frozen=True, slots=True)
class SmtpOutbox:
    """Implements `workers.ports.Outbox`; `server` is `host:port`."""

    server: str
    sender: str
    user: str = ""
    password: str = field(default="", repr=False)
    tls: Literal["none", "starttls", "tls"] = "none"

    def send(self, message: EmailMessage) -> None:
        """Hand the mail over; raises Undeliverable for good, MailDelayed for now."""
        del message["From"]
        message["From"] = self.sender
        try:
            with closing(self.connection()) as server:
                assert server.sock is not None
                server.sock.settimeout(ACCEPTS)
                server.send_message(message, from_addr=self.sender)
                server.sock.settimeout(SECONDS)
                with suppress(smtplib.SMTPException, OSError):  # it was accepted, whatever comes
                    server.quit()
        except smtplib.SMTPRecipientsRefused as refused:
            codes = [code for code, _ in refused.recipients.values()]
            raise _refusal(min(codes, default=450)) from None
        except smtplib.SMTPDataError as error:
            raise _refusal(error.smtp_code) from None
        except (smtplib.SMTPException, OSError) as error:
            raise MailDelayed(named(error)) from None

    def connection(self) -> smtplib.SMTP:
        """A connection as mails are sent over; raises SMTPException or OSError."""
        host, _, port = self.server.rpartition(":")
        host, number = host.strip("[]"), int(port)
        if self.tls == "tls":
            context = ssl.create_default_context()
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, number, timeout=SECONDS, context=context)
        else:
            server = smtplib.SMTP(host, number, timeout=SECONDS)
        try:
            if self.tls == "starttls":
                server.starttls(context=ssl.create_default_context())
            if self.user:
                server.login(self.user, self.password)
        except BaseException:
            server.close()
            raise
        return server


def _refusal(code: int) -> Exception:
    """Codes from 500 on are final (RFC 5321 section 4.2.1); nothing of the answer is repeated."""
    return Undeliverable(str(code)) if code >= 500 else MailDelayed(str(code))
