"""A mailbox that catches every mail sent to it and shows it: for development and tests only."""

import argparse
import json
import re
import secrets
import signal
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as modern
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from aiosmtpd.controller import Controller

from twinlock.dev.missing import CannotStart
from twinlock.dev.ports import LOOPBACK, free_port, is_taken, split_address

KEPT = 500
SAFE = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none';"
    " form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
LINK = re.compile(r"https?://[^\s<>\"']+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One caught mail; `received_at` is RFC 3339 in UTC, `to` is the envelope's address."""

    id: str
    to: str
    subject: str
    text: str
    html: str | None
    received_at: str


class Mailbox:
    """An SMTP server that keeps the last 500 mails, and the pages that show them.

    `with Mailbox() as mailbox:` takes free ports on the loopback address.
    """

    def __init__(self, *, smtp: str | None = None, http: str | None = None) -> None:
        self._mails: deque[Mail] = deque(maxlen=KEPT)
        self._arrived = threading.Condition()
        self._smtp_host, self._smtp_port = _address(smtp)
        self._http_host, self._http_port = _address(http)
        self._controller: Any = None
        self._web: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        """Start both servers."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop both servers."""
        self.stop()

    @property
    def smtp(self) -> str:
        """The address to send to: `host:port`."""
        return f"{self._smtp_host}:{self._smtp_port}"

    @property
    def url(self) -> str:
        """The address of the pages, without a slash at the end."""
        return f"http://{self._http_host}:{self._http_port}"

    def start(self) -> None:
        """Start both servers; CannotStart if a port is taken."""
        for host, port in (
            (self._smtp_host, self._smtp_port),
            (self._http_host, self._http_port),
        ):
            if is_taken(host, port):
                raise CannotStart(f"The mailbox's port {host}:{port} is taken; choose another")
        self._controller = Controller(self, hostname=self._smtp_host, port=self._smtp_port)
        self._controller.start()
        self._web = ThreadingHTTPServer((self._http_host, self._http_port), _pages(self))
        threading.Thread(target=self._web.serve_forever, name="mailbox", daemon=True).start()

    def stop(self) -> None:
        """Stop both servers; the mails stay."""
        if self._controller is not None:
            self._controller.stop()
        if self._web is not None:
            self._web.shutdown()
            self._web.server_close()
        self._controller, self._web = None, None

    def messages(self, to: str | None = None) -> list[Mail]:
        """Answer the mails, newest first, all or those to one address."""
        with self._arrived:
            return self._sorted(to)

    def wait(self, to: str | None = None, count: int = 1, timeout: float = 10) -> list[Mail]:
        """Wait until that many mails are there, and answer them; TimeoutError if they are not."""
        deadline = time.monotonic() + timeout
        with self._arrived:
            while len(found := self._sorted(to)) < count:
                if not self._arrived.wait(max(0, deadline - time.monotonic())):
                    whom = to or "anybody"
                    raise TimeoutError(f"{len(found)} of {count} mails to {whom} in {timeout} s")
            return found

    def clear(self) -> None:
        """Forget every mail."""
        with self._arrived:
            self._mails.clear()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """Keep a mail, once for each of its recipients; aiosmtpd calls this."""
        message = message_from_bytes(envelope.content, policy=modern)
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        with self._arrived:
            for to in envelope.rcpt_tos:
                self._mails.append(_mail(to, message, at))
            self._arrived.notify_all()
        return "250 OK"

    def _sorted(self, to: str | None) -> list[Mail]:
        wanted = to.casefold() if to else None
        return [m for m in reversed(self._mails) if wanted in (None, m.to.casefold())]


def _address(given: str | None) -> tuple[str, int]:
    """Answer the address given, or a free one; none but loopback ones, for mails hold secrets."""
    if given is None:
        return LOOPBACK, free_port()
    host, port = split_address(given)
    if host not in ("127.0.0.1", "localhost", "::1"):
        raise CannotStart(f"The mailbox listens on loopback addresses only, not on {host}")
    return host, port or free_port()


def _mail(to: str, message: EmailMessage, at: str) -> Mail:
    return Mail(
        id=secrets.token_hex(8),
        to=to,
        subject=str(message.get("Subject", "")),
        text=_body(message, "plain") or "",
        html=_body(message, "html"),
        received_at=at,
    )


def _body(message: EmailMessage, kind: str) -> str | None:
    part = message.get_body((kind,))
    return None if part is None else str(part.get_content()).replace("\r\n", "\n")


def _pages(mailbox: Mailbox) -> type[BaseHTTPRequestHandler]:
    """Make the request handler that shows this mailbox."""

    class Pages(BaseHTTPRequestHandler):
        server_version = "mailbox"
        sys_version = ""

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            to = parse_qs(url.query).get("to", [None])[0] or None
            nonce = secrets.token_urlsafe(16)
            if not self._asked_by_name():
                self._answer(421, "text/plain", "Not my name", nonce)
            elif url.path == "/messages":
                mails = [asdict(mail) for mail in mailbox.messages(to)]
                self._answer(200, "application/json", json.dumps({"messages": mails}), nonce)
            elif url.path == "/":
                self._answer(200, "text/html", _page(mailbox.messages(to), to, nonce), nonce)
            else:
                self._answer(404, "text/plain", "Not found", nonce)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Say nothing: addresses and links are in these requests."""

        def _asked_by_name(self) -> bool:
            """Refuse foreign Host names: a page elsewhere could rebind its own to loopback."""
            host = self.headers.get("Host", "").rsplit(":", 1)[0].strip("[]")
            return host in ("127.0.0.1", "localhost", "::1")

        def _answer(self, status: int, kind: str, body: str, nonce: str) -> None:
            content = body.encode()
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            for name, value in SAFE.items():
                self.send_header(name, value.format(nonce=nonce))
            self.end_headers()
            self.wfile.write(content)

    return Pages


STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem }
article { border: 1px solid #8888; border-radius: 8px; margin: 1rem 0; padding: 0 1rem 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-bottom: 0 }
pre { white-space: pre-wrap; overflow-wrap: anywhere } .meta { margin-top: 0; opacity: .8 }
input { font: inherit; padding: .2rem .4rem } button { font: inherit }
:root { color-scheme: light dark; color: CanvasText; background: Canvas }
"""


def _page(mails: Sequence[Mail], to: str | None, nonce: str) -> str:
    shown = "".join(map(_article, mails)) or "<p>No mail yet.</p>"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Mailbox</title>
<style nonce="{nonce}">{STYLE}</style>
</head>
<body>
<main>
<h1>Mailbox</h1>
<form method="get" action="/">
<label>To <input name="to" type="email" value="{escape(to or "")}"></label>
<button>Show</button>
</form>
{shown}
</main>
</body>
</html>
"""


def _article(mail: Mail) -> str:
    html = (
        f"<details><summary>HTML part, as text</summary><pre>{escape(mail.html)}</pre></details>"
        if mail.html
        else ""
    )
    return (
        f"<article><h2>{escape(mail.subject) or '(no subject)'}</h2>"
        f'<p class="meta">To {escape(mail.to)}, '
        f'<time datetime="{mail.received_at}">{mail.received_at}</time></p>'
        f"<pre>{_linked(mail.text)}</pre>{html}</article>"
    )


def _linked(text: str) -> str:
    """Escape a text and make its web addresses links, so that mailed links can be followed."""
    parts, end = [], 0
    for match in LINK.finditer(text):
        link = escape(match[0])
        parts += [escape(text[end : match.start()])]
        parts += [f'<a href="{link}" rel="noreferrer noopener">{link}</a>']
        end = match.end()
    return "".join([*parts, escape(text[end:])])


def main() -> None:
    """Run a mailbox until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m twinlock.dev.mailbox", description=__doc__)
    parser.add_argument("--smtp", default="127.0.0.1:1025", metavar="HOST:PORT")
    parser.add_argument("--http", default="127.0.0.1:8025", metavar="HOST:PORT")
    chosen = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        with Mailbox(smtp=chosen.smtp, http=chosen.http) as mailbox:
            print(f"Mail goes to {mailbox.smtp} and is shown at {mailbox.url}", flush=True)
            ended.wait()
    except (CannotStart, ValueError) as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
