"""The mailer: writes the letters that are due, and sends each once."""

import hashlib
import hmac
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from threading import Event
from typing import Any
from urllib.parse import quote, urlsplit

import structlog
from psycopg import Connection

from commands.contact import Contact, contact_of, previous
from commands.mailed import code_key, link_token
from commands.ports import Keys, Vault, Write
from commands.profile import workspace_name
from commands.ticket_text import reason_of
from domain.onetime import BIND, email_code
from domain.unbind_ticket import CANCELLED
from projections import progress, standing
from workers import mail_queue
from workers.letters import BECAUSE, GRACE, METHODS, Letter, language_of, written
from workers.loops import keep_going
from workers.mail_queue import TO_OWNERS, TO_PREVIOUS, Due
from workers.ports import Connect, MailDelayed, Outbox, Undeliverable

IDLE = 0.1
LINE = 998
"""The longest line, in characters, that a mail may have without being encoded."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Scribe:
    """What letters are written with."""

    vault: Vault
    keys: Keys
    public_url: str
    issuer: str

    def recipient(self, due: Due) -> Contact | None:
        """Who is written to; None once the member is erased."""
        if due.recipient != TO_PREVIOUS:
            return contact_of(self.vault, due.subject_id)
        sealed = self.vault.peek(f"member/{due.subject_id}", previous(due.detail))
        return Contact(**json.loads(sealed)) if sealed else None

    def discards(self, due: Due) -> list[Write]:
        """What was kept for this mail alone, and is of no use once it is settled."""
        if due.recipient != TO_PREVIOUS:
            return []
        return [self.vault.discard(f"member/{due.subject_id}", previous(due.detail))]

    def letter(self, due: Due, contact: Contact) -> Letter:
        """The letter, in the language of its reader."""
        name, values = _WRITERS[due.kind](self, due, contact)
        given = {"name": contact.name, "issuer": self.issuer}
        return written(name, contact.locale, {**given, **values})

    def message(self, due: Due, contact: Contact) -> EmailMessage:
        """The mail; its id is the same at each attempt, so that a repeat can be recognised."""
        letter = self.letter(due, contact)
        message = EmailMessage()
        message["To"] = contact.email
        message["Subject"] = letter.subject
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = self._message_id(due)
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(letter.text, cte=_encoding(letter.text))
        message.add_alternative(letter.html, subtype="html")
        return message

    def _message_id(self, due: Due) -> str:
        named = f"{due.position}/{due.kind}/{due.recipient}/{due.subject_id}".encode()
        digest = hmac.new(self.keys.derived("message-ids"), named, hashlib.sha256).hexdigest()
        return f"<{due.position}.{digest[:24]}@{urlsplit(self.public_url).hostname}>"


def _encoding(text: str) -> str:
    """Plain, as a code is read best, where no line is too long (RFC 5322 section 2.1.1)."""
    if not text.isascii():
        return "base64"
    return "8bit" if max(map(len, text.splitlines())) <= LINE else "quoted-printable"


class Mailer:
    """A loop over the queue; many may run, and no row is taken twice at once."""

    def __init__(self, connect: Connect, outbox: Outbox, scribe: Scribe) -> None:
        self._connect = connect
        self._outbox = outbox
        self._scribe = scribe

    def run(self, stop: Event) -> None:
        """Send until `stop` is set."""
        keep_going("mail", lambda: self.session(stop), stop)

    def session(self, stop: Event) -> None:
        """Send on one connection, until it is lost or `stop` is set."""
        with self._connect() as connection:
            while not stop.is_set():
                if not self.send_next(connection):
                    stop.wait(IDLE)

    def send_next(self, connection: Connection[Any]) -> bool:
        """Deal with one due row; says whether there was one."""
        due = mail_queue.take(connection)
        if due is None:
            return False
        if due.expires_at <= datetime.now(UTC):
            self._settle(connection, due, "expired")
        elif due.recipient == TO_OWNERS:
            self._spread(connection, due)
        else:
            self._send(connection, due)
        return True

    def _send(self, connection: Connection[Any], due: Due) -> None:
        try:
            contact = self._scribe.recipient(due)
            if contact is None:
                self._settle(connection, due, "nobody")
                return
            self._outbox.send(self._scribe.message(due, contact))
        except Undeliverable:
            self._settle(connection, due, "undeliverable")
        except MailDelayed as delayed:
            log.warning("mail.delayed", position=due.position, reason=str(delayed))
            mail_queue.put_off(connection, due, random.random())  # noqa: S311 - jitter
        except Exception as error:
            log.error("mail.failed", position=due.position, reason=type(error).__name__)
            mail_queue.put_off(connection, due, random.random())  # noqa: S311 - jitter
        else:
            self._settle(connection, due, "sent")

    def _spread(self, connection: Connection[Any], due: Due) -> None:
        """Write to each owner, as soon as it is known who they were."""
        if progress.visible(connection, standing.KEY, due.position):
            mail_queue.spread(connection, due, standing.owners(connection, due.subject_id))
        else:
            mail_queue.put_off(connection, due, 0)

    def _settle(self, connection: Connection[Any], due: Due, status: str) -> None:
        mail_queue.settle(connection, due, status, self._scribe.discards(due))
        log.info("mail.settled", position=due.position, kind=due.kind, status=status)


Written = tuple[str, dict[str, str]]


def _code(scribe: Scribe, due: Due, contact: Contact) -> Written:
    purpose, _, challenge_id = due.detail.partition(":")
    code = email_code(
        code_key(scribe.keys),
        purpose=purpose,
        member_id=due.subject_id,
        challenge_id=challenge_id,
    )
    return "code.bind" if purpose == BIND else "code.ticket", {"code": code}


def _plain(scribe: Scribe, due: Due, contact: Contact) -> Written:
    return due.kind, {}


def _unbound(scribe: Scribe, due: Due, contact: Contact) -> Written:
    return due.kind, {"method": METHODS[due.detail][language_of(contact.locale)]}


def _locked(scribe: Scribe, due: Due, contact: Contact) -> Written:
    return due.kind, {"until": _minute(due.detail)}


def _submitted(scribe: Scribe, due: Due, contact: Contact) -> Written:
    token = link_token(scribe.keys, due.detail)
    path = f"/tickets/{quote(due.detail, safe='')}/cancel?token={token}"
    return due.kind, {"ticket": due.detail, "link": scribe.public_url + path}


def _closed(scribe: Scribe, due: Due, contact: Contact) -> Written:
    status, _, ticket_id = due.detail.partition(":")
    reason = reason_of(scribe.vault, due.subject_id, ticket_id) if status != CANCELLED else None
    because = BECAUSE[language_of(contact.locale)] if reason else ""
    return f"ticket.{status}", {"because": because, "reason": reason or ""}


def _policy(scribe: Scribe, due: Due, contact: Contact) -> Written:
    workspace_id, _, until = due.detail.partition(":")
    name = workspace_name(scribe.vault, workspace_id)
    grace = GRACE[language_of(contact.locale)].format(until=_minute(until)) if until else ""
    return due.kind, {"workspace": name, "grace": grace}


_WRITERS: dict[str, Callable[[Scribe, Due, Contact], Written]] = {
    "mfa.email_code_sent": _code,
    "mfa.bound": _plain,
    "mfa.unbound": _unbound,
    "mfa.recovery_code_spent": _plain,
    "mfa.recovery_codes_issued": _plain,
    "mfa.locked": _locked,
    "mfa.contact_changed": _plain,
    "ticket.submitted": _submitted,
    "mfa.ticket_closed": _closed,
    "workspace.policy_enforced": _policy,
    "workspace.policy_lifted": _policy,
}


def _minute(time: str) -> str:
    return datetime.fromisoformat(time).astimezone(UTC).strftime("%Y-%m-%d %H:%M")
