"""Mail servers that want TLS and a login, and one that would take passwords without."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from tests.flow.postbox import Postbox
from twinlock.dev.ports import LOOPBACK, free_port

USER = "mailer-user"
PASSWORD = "marked, = secret"


@dataclass
class SecurePostbox(Postbox):
    """A postbox that keeps as well who tried to log in."""

    tried: list[LoginPassword] = field(default_factory=list)

    def authenticate(self, *told: Any) -> AuthResult:
        """Take the one user; aiosmtpd calls this."""
        login = told[-1]
        self.tried.append(login)
        right = login == LoginPassword(USER.encode(), PASSWORD.encode())
        return AuthResult(success=right, handled=False)


class Reluctant(SMTP):
    """Offers STARTTLS, and answers it as who has no TLS just now."""

    async def smtp_STARTTLS(self, arg: str) -> None:  # noqa: N802
        """Refuse."""
        await self.push("454 TLS not available")


class _Secured(Controller):
    kind: type[SMTP]

    def factory(self) -> SMTP:
        """Make the server of a connection."""
        return self.kind(self.handler, **self.SMTP_kwargs)


def _context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@contextmanager
def secured(tls: str, certificate: Path, kind: type[SMTP] = SMTP) -> Iterator[SecurePostbox]:
    """Listen as the setting names it: `starttls`, `tls` or `none`.

    Only a server that keeps to STARTTLS asks for a login; the others take mails and passwords from
    anybody.
    """
    port = free_port()
    postbox = SecurePostbox(f"{LOOPBACK}:{port}")
    strict = tls == "starttls" and kind is SMTP
    controller = _Secured(
        postbox,
        hostname=LOOPBACK,
        port=port,
        ssl_context=_context(certificate) if tls == "tls" else None,
        tls_context=_context(certificate) if tls == "starttls" else None,
        require_starttls=strict,
        auth_require_tls=strict,
        auth_required=strict,
        authenticator=postbox.authenticate,
    )
    controller.kind = kind
    controller.start()
    try:
        yield postbox
    finally:
        controller.stop()
