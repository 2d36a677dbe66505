"""Mails: sent once, to the right address, with what they must say, and traceless elsewhere."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from commands.contact import Contact, previous
from commands.dispatch import run
from commands.erase_member import EraseMember
from commands.ports import Context
from commands.put_member import PutMember
from commands.put_workspace import PutWorkspace
from domain.member_facts import (
    EmailCodeSent,
    Locked,
    MFAUnbound,
    RecoveryCodesIssued,
    RecoveryCodeSpent,
    TicketClosed,
)
from domain.member_mfa import MemberMFA
from domain.onetime import cancel_token, email_code
from domain.unbind_ticket import TicketSubmitted, UnbindTicket
from domain.workspace import PolicyEnforced, PolicyLifted, Workspace, WorkspaceCreated
from projections import standing
from projections.models import MODELS
from projections.progress import visible
from tests.faults.tarpit import open_tarpit
from tests.flow.conftest import Running
from tests.flow.histories import HOST, bound, joined
from tests.flow.postbox import Postbox, open_postbox
from twinlock.adapters.mail import SECONDS, SmtpOutbox
from twinlock.composition import Twinlock
from twinlock.dev.mailbox import Mailbox
from workers import mail_queue
from workers.letters import LETTERS
from workers.mailer import Mailer, Scribe

pytestmark = pytest.mark.live


@pytest.fixture
def running(embedded: Running) -> Running:
    """The embedded log is enough for mails."""
    return embedded


@pytest.fixture
def mailer(running: Running, mailbox: Mailbox) -> Mailer:
    """A mailer to the mailbox."""
    outbox = SmtpOutbox(mailbox.smtp, "twinlock@example.com")
    return Mailer(running.twinlock.connect, outbox, scribe(running.twinlock))


def scribe(twinlock: Twinlock) -> Scribe:
    return Scribe(twinlock.vault, twinlock.keys, "http://127.0.0.1:8080", "Twinlock")


def happens(twinlock: Twinlock, kind: Any, id_: str, *facts: Any, ago: int = 0) -> int:
    context = Context(at=datetime.now(UTC) - timedelta(hours=ago), actor=HOST, request_id="r")
    return twinlock.store.append(context, (twinlock.store.load(kind, id_), facts))


def knows(twinlock: Twinlock, member: str, locale: str = "en", item: str = "contact") -> None:
    contact = Contact(f"{member}@example.com", member.title(), locale)
    context = Context(at=datetime.now(UTC), actor=HOST, request_id="r")
    write = twinlock.vault.seal(f"member/{member}", item, contact.sealed())
    twinlock.store.append(context, also=[write])


def queued(running: Running, position: int) -> None:
    """Wait until the queue and the read models have applied it."""
    stop = [running.start(running.projector(m).run) for m in (mail_queue.MODEL, *MODELS)]
    with running.twinlock.connect() as connection:
        deadline = datetime.now(UTC) + timedelta(seconds=60)
        while not all(visible(connection, k, position) for k in (mail_queue.KEY, standing.KEY)):
            assert datetime.now(UTC) < deadline
    for each in stop:
        each.set()


def send_all(running: Running, mailer: Mailer) -> None:
    with running.twinlock.connect() as connection:
        while mailer.send_next(connection):
            pass


def statuses(running: Running) -> list[str]:
    with running.twinlock.connect() as connection:
        return [s for (s,) in connection.execute("SELECT status FROM mail_queue ORDER BY id")]


def in_minutes(minutes: int) -> datetime:
    return datetime.now(UTC) + timedelta(minutes=minutes)


@pytest.mark.parametrize(("purpose", "locale"), [("bind", "en"), ("ticket", "zh")])
def test_the_code_stands_alone_on_its_line(
    running: Running, mailer: Mailer, mailbox: Mailbox, purpose: str, locale: str
) -> None:
    twinlock = running.twinlock
    knows(twinlock, "m1", locale)
    fact = EmailCodeSent(challenge_id="c1", purpose=purpose, expires_at=in_minutes(10))
    queued(running, happens(twinlock, MemberMFA, "m1", *joined("m1"), fact))
    send_all(running, mailer)
    (mail,) = mailbox.wait(to="m1@example.com")
    key = twinlock.keys.derived("email-codes")
    code = email_code(key, purpose=purpose, member_id="m1", challenge_id="c1")
    assert mail.text.splitlines().count(code) == 1
    assert "10" in mail.text
    assert mail.html
    assert code in mail.html


def test_an_expired_code_is_not_sent(running: Running, mailer: Mailer, mailbox: Mailbox) -> None:
    knows(running.twinlock, "m1")
    fact = EmailCodeSent(challenge_id="c1", purpose="bind", expires_at=in_minutes(10))
    queued(running, happens(running.twinlock, MemberMFA, "m1", *joined("m1"), fact))
    with running.twinlock.connect() as connection:
        connection.execute("UPDATE mail_queue SET expires_at = now()")
    send_all(running, mailer)
    assert statuses(running) == ["expired"]
    assert mailbox.messages() == []


SECURITY: list[tuple[str, Callable[[], list[Any]], str]] = [
    ("bound", lambda: [bound(), RecoveryCodesIssued(set_id="s", count=10)], "is bound"),
    ("reissued", lambda: [RecoveryCodesIssued(set_id="s", count=10)], "New recovery codes"),
    (
        "spent",
        lambda: [RecoveryCodeSpent(set_id="s", index=1, purpose="login", login_id=None)],
        "recovery code was used",
    ),
    ("locked", lambda: [Locked(until=in_minutes(15), failures=5)], "refused for a while"),
    ("unbound", lambda: [MFAUnbound(binding_id="b1", method="self", ticket_id=None)], "unbound"),
    ("rejected", lambda: [TicketClosed(ticket_id="t", status="rejected")], "declined"),
    ("approved", lambda: [TicketClosed(ticket_id="t", status="approved")], "approved"),
    ("cancelled", lambda: [TicketClosed(ticket_id="t", status="cancelled")], "cancelled"),
]


def test_new_codes_are_told_of_with_their_binding_though_others_append_meanwhile(
    running: Running, mailer: Mailer, mailbox: Mailbox
) -> None:
    """Positions of one append have holes, where another one draws between them."""
    twinlock = running.twinlock
    knows(twinlock, "m1")
    happens(twinlock, MemberMFA, "m1", *joined("m1"))
    with twinlock.connect() as connection:
        connection.execute(
            "CREATE FUNCTION meanwhile() RETURNS trigger LANGUAGE plpgsql AS"
            " 'begin perform nextval(''stored_events_notification_id_seq''); return new; end'"
        )
        connection.execute(
            "CREATE TRIGGER meanwhile BEFORE INSERT ON stored_events"
            " FOR EACH ROW EXECUTE FUNCTION meanwhile()"
        )
    issued = RecoveryCodesIssued(set_id="s", count=10)
    queued(running, happens(twinlock, MemberMFA, "m1", bound(), issued))
    send_all(running, mailer)
    assert [mail.subject for mail in mailbox.messages()] == ["MFA is bound"]


@pytest.mark.parametrize(
    ("facts", "subject"), [s[1:] for s in SECURITY], ids=[s[0] for s in SECURITY]
)
def test_the_member_is_told_of_what_concerns_security(
    running: Running,
    mailer: Mailer,
    mailbox: Mailbox,
    facts: Callable[[], list[Any]],
    subject: str,
) -> None:
    knows(running.twinlock, "m1")
    queued(running, happens(running.twinlock, MemberMFA, "m1", *joined("m1"), *facts()))
    send_all(running, mailer)
    (mail,) = mailbox.messages()
    assert mail.to == "m1@example.com"
    assert subject in mail.subject


def test_a_reason_is_told(running: Running, mailer: Mailer, mailbox: Mailbox) -> None:
    twinlock = running.twinlock
    knows(twinlock, "m1")
    context = Context(at=datetime.now(UTC), actor=HOST, request_id="r")
    reason = twinlock.vault.seal("member/m1", "ticket/t/reason", b"No <b>proof</b>\nof who asks")
    twinlock.store.append(context, also=[reason])
    closed = TicketClosed(ticket_id="t", status="rejected")
    queued(running, happens(twinlock, MemberMFA, "m1", *joined("m1"), closed))
    send_all(running, mailer)
    (mail,) = mailbox.messages()
    assert "Support gives this reason:\n\nNo <b>proof</b>\nof who asks\n" in mail.text
    assert "No &lt;b&gt;proof&lt;/b&gt;<br>\nof who asks" in (mail.html or "")


class Hasty(Postbox):
    """Keeps mails, and hangs up as a server does that is about to stop."""

    async def handle_QUIT(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        return "421 Stopping"


def test_a_reason_of_one_long_line_reaches_a_server_that_takes_none_and_is_sent_once(
    running: Running,
) -> None:
    twinlock = running.twinlock
    knows(twinlock, "m1")
    context = Context(at=datetime.now(UTC), actor=HOST, request_id="r")
    reason = "word " * 700
    write = twinlock.vault.seal("member/m1", "ticket/t/reason", reason.encode())
    twinlock.store.append(context, also=[write])
    closed = TicketClosed(ticket_id="t", status="rejected")
    queued(running, happens(twinlock, MemberMFA, "m1", *joined("m1"), closed))
    with open_postbox(Hasty) as postbox:
        outbox = SmtpOutbox(postbox.smtp, "twinlock@example.com")
        send_all(running, Mailer(twinlock.connect, outbox, scribe(twinlock)))
    assert statuses(running) == ["sent"]
    (letter,) = postbox.letters
    assert reason.strip() in letter.text
    assert max(map(len, letter.raw.splitlines())) <= 998


def test_a_submitted_ticket_can_be_cancelled_by_the_mailed_link(
    running: Running, mailer: Mailer, mailbox: Mailbox
) -> None:
    knows(running.twinlock, "m1")
    filed = TicketSubmitted(
        member_id="m1", binding_id="b1", first_factor_proven=True, approvals_needed=1
    )
    queued(running, happens(running.twinlock, UnbindTicket, "t1", filed))
    send_all(running, mailer)
    (mail,) = mailbox.messages()
    token = cancel_token(running.twinlock.keys.derived("cancel-tokens"), ticket_id="t1")
    assert f"http://127.0.0.1:8080/tickets/t1/cancel?token={token}" in mail.text.splitlines()
    assert "This wasn't me: cancel" in mail.text
    assert "ticket t1.\n" in mail.text
    assert "What is decided comes by mail to this address." in mail.text


def asked(twinlock: Twinlock, command: Any, ago: int = 0) -> int:
    context = Context(at=datetime.now(UTC) - timedelta(hours=ago), actor=HOST, request_id="r")
    position: int = run(command, context, twinlock.desk).position
    return position


def lives_at(twinlock: Twinlock, *addresses: str, ago: int = 0) -> int:
    """The host gives m1 one address after the other; answers the last position."""
    asked(twinlock, PutWorkspace(workspace_id="w", name="W"), ago)
    puts = (
        PutMember(workspace_id="w", member_id="m1", email=each, name="Ann", role="member")
        for each in addresses
    )
    return [asked(twinlock, put, ago) for put in puts][-1]


def kept(running: Running) -> list[str]:
    """The vault's items about who was written to before."""
    with running.twinlock.connect() as connection:
        rows = connection.execute("SELECT item FROM vault_items WHERE item LIKE 'contact/%'")
        return [item for (item,) in rows]


def test_each_old_address_is_told_of_the_change_away_from_it(
    running: Running, mailer: Mailer, mailbox: Mailbox
) -> None:
    """However fast they follow each other; the address that is left is kept no longer than that."""
    twinlock = running.twinlock
    last = lives_at(twinlock, "one@example.com", "two@example.com", "three@example.com")
    assert len(kept(running)) == 2
    queued(running, last)
    send_all(running, mailer)
    told = [mail.to for mail in reversed(mailbox.messages())]
    assert told == ["one@example.com", "two@example.com"]
    assert kept(running) == []


def test_a_way_back_and_forth_is_told_of_each_time(
    running: Running, mailer: Mailer, mailbox: Mailbox
) -> None:
    last = lives_at(running.twinlock, *["one@example.com", "two@example.com"] * 2)
    queued(running, last)
    send_all(running, mailer)
    told = [mail.to for mail in reversed(mailbox.messages())]
    assert told == ["one@example.com", "two@example.com", "one@example.com"]


def test_an_address_stays_kept_until_it_was_told(running: Running, mailbox: Mailbox) -> None:
    queued(running, lives_at(running.twinlock, "one@example.com", "two@example.com"))
    away = SmtpOutbox("127.0.0.1:1", "twinlock@example.com")
    send_all(running, Mailer(running.twinlock.connect, away, scribe(running.twinlock)))
    assert (statuses(running), kept(running)) == (["due"], [previous(3)])


def test_an_address_whose_notice_comes_too_late_is_discarded(
    running: Running, mailer: Mailer, mailbox: Mailbox
) -> None:
    queued(running, lives_at(running.twinlock, "one@example.com", "two@example.com", ago=25))
    assert kept(running) == [previous(3)]
    send_all(running, mailer)
    assert (mailbox.messages(), statuses(running), kept(running)) == ([], ["expired"], [])


def test_the_erased_leave_no_old_address(
    running: Running, mailer: Mailer, mailbox: Mailbox
) -> None:
    lives_at(running.twinlock, "one@example.com", "two@example.com", "three@example.com")
    queued(running, asked(running.twinlock, EraseMember(member_id="m1")))
    assert kept(running) == []
    send_all(running, mailer)
    assert (mailbox.messages(), set(statuses(running))) == ([], {"nobody"})


def test_no_event_tells_an_address(running: Running) -> None:
    lives_at(running.twinlock, "one@example.com", "two@example.com")
    stored = b"".join(each.state for each in running.twinlock.store.events(0, 100))
    assert b"@example.com" not in stored


def test_every_owner_is_told_of_a_policy(
    running: Running, mailer: Mailer, mailbox: Mailbox
) -> None:
    twinlock = running.twinlock
    for member, role in (("m1", "owner"), ("m2", "owner"), ("m3", "member")):
        knows(twinlock, member)
        happens(twinlock, MemberMFA, member, *joined(member, "w", role))
    facts = (WorkspaceCreated(), PolicyEnforced(grace_until=in_minutes(60)), PolicyLifted())
    queued(running, happens(twinlock, Workspace, "w", *facts))
    send_all(running, mailer)
    told = sorted((mail.to, mail.subject) for mail in mailbox.messages())
    assert [to for to, _ in told] == ["m1@example.com"] * 2 + ["m2@example.com"] * 2
    assert len({subject for _, subject in told}) == 2


def test_nothing_is_sent_twice_when_the_log_is_read_again(
    running: Running, mailer: Mailer, mailbox: Mailbox
) -> None:
    knows(running.twinlock, "m1")
    position = happens(running.twinlock, MemberMFA, "m1", *joined("m1"), bound())
    queued(running, position)
    send_all(running, mailer)
    with running.twinlock.connect() as connection:
        connection.execute("DELETE FROM progress")
    queued(running, position)
    send_all(running, mailer)
    assert len(mailbox.messages()) == 1


def test_an_old_event_is_no_news(running: Running, mailer: Mailer, mailbox: Mailbox) -> None:
    knows(running.twinlock, "m1")
    queued(running, happens(running.twinlock, MemberMFA, "m1", *joined("m1"), bound(), ago=25))
    send_all(running, mailer)
    assert mailbox.messages() == []


def test_a_mail_waits_for_a_server_that_is_away(running: Running, mailbox: Mailbox) -> None:
    knows(running.twinlock, "m1")
    queued(running, happens(running.twinlock, MemberMFA, "m1", *joined("m1"), bound()))
    away = SmtpOutbox("127.0.0.1:1", "twinlock@example.com")
    send_all(running, Mailer(running.twinlock.connect, away, scribe(running.twinlock)))
    assert statuses(running) == ["due"]
    with running.twinlock.connect() as connection:
        connection.execute("UPDATE mail_queue SET next_at = now()")
    back = SmtpOutbox(mailbox.smtp, "twinlock@example.com")
    send_all(running, Mailer(running.twinlock.connect, back, scribe(running.twinlock)))
    assert statuses(running) == ["sent"]
    assert len(mailbox.messages()) == 1


def test_a_mailer_that_dies_between_sending_and_marking_repeats_one_mail_under_one_id(
    running: Running, mailer: Mailer, mailbox: Mailbox
) -> None:
    knows(running.twinlock, "m1")
    queued(running, happens(running.twinlock, MemberMFA, "m1", *joined("m1"), bound()))
    writer = scribe(running.twinlock)
    with running.twinlock.connect() as connection:
        due = mail_queue.take(connection)
        assert due is not None
        contact = writer.recipient(due)
        assert contact is not None
        first = writer.message(due, contact)["Message-ID"]
        SmtpOutbox(mailbox.smtp, "twinlock@example.com").send(writer.message(due, contact))
        assert mail_queue.take(connection) is None
        connection.execute("UPDATE mail_queue SET next_at = now()")
        assert writer.message(due, contact)["Message-ID"] == first
    send_all(running, mailer)
    send_all(running, mailer)
    assert len(mailbox.messages()) == 2


def test_an_erased_member_is_written_to_no_more(
    running: Running, mailer: Mailer, mailbox: Mailbox
) -> None:
    queued(running, happens(running.twinlock, MemberMFA, "m1", *joined("m1"), bound()))
    send_all(running, mailer)
    assert statuses(running) == ["nobody"]
    assert mailbox.messages() == []


def test_the_queue_holds_no_address_code_or_name(running: Running, mailbox: Mailbox) -> None:
    knows(running.twinlock, "m1")
    fact = EmailCodeSent(challenge_id="c1", purpose="bind", expires_at=in_minutes(10))
    queued(running, happens(running.twinlock, MemberMFA, "m1", *joined("m1"), fact))
    key = running.twinlock.keys.derived("email-codes")
    code = email_code(key, purpose="bind", member_id="m1", challenge_id="c1")
    with running.twinlock.connect() as connection:
        rows = str(connection.execute("SELECT * FROM mail_queue").fetchall())
    assert "@" not in rows
    assert "M1" not in rows
    assert code not in rows


def test_every_letter_is_written_in_both_languages() -> None:
    assert all(set(words) == {"en", "zh"} for words in LETTERS.values())


def test_a_mail_server_that_takes_its_time_gets_one_copy(running: Running) -> None:
    twinlock = running.twinlock
    knows(twinlock, "m1")
    queued(running, happens(twinlock, MemberMFA, "m1", *joined("m1"), bound()))
    with open_tarpit() as box:
        box.seconds = SECONDS + 1
        outbox = SmtpOutbox(box.smtp, "twinlock@example.com")
        send_all(running, Mailer(twinlock.connect, outbox, scribe(twinlock)))
        assert statuses(running) == ["sent"]
        assert len(box.letters) == 1
