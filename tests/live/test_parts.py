"""The development parts do what the rest of the tests take for granted."""

import json
import os
import smtplib
import urllib.error
import urllib.request
from email.message import EmailMessage

import psycopg
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic

from tests.support.parts import fresh_database, temporary_folder
from twinlock.dev.mailbox import Mailbox
from twinlock.dev.missing import CannotStart
from twinlock.dev.ports import split_address
from twinlock.dev.postgres import Postgres

pytestmark = pytest.mark.live


def send(mailbox: Mailbox, *to: str, subject: str = "Hello", text: str = "Hi\n") -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "from@example.com", ", ".join(to), subject
    message.set_content(text)
    message.add_alternative(f"<p>{text}</p>", subtype="html")
    with smtplib.SMTP(*split_address(mailbox.smtp)) as server:
        server.send_message(message)


def get(url: str, **headers: str) -> tuple[str, str]:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
        return answer.read().decode(), answer.headers["Content-Security-Policy"]


def test_a_database_is_empty_durable_and_in_utf8(database: str) -> None:
    with psycopg.connect(database) as connection:
        tables = connection.execute("SELECT count(*) FROM pg_stat_user_tables").fetchone()
        fsync = connection.execute("SHOW fsync").fetchone()
        lowered = connection.execute("SELECT lower('ÄÉ鎖')").fetchone()
    assert (tables, fsync, lowered) == ((0,), ("on",), ("äé鎖",))


def test_a_database_can_be_copied_from_a_template(postgres_server: str, database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE t AS SELECT 42 AS answer")
    with fresh_database(postgres_server, template=database) as copy, psycopg.connect(copy) as c:
        assert c.execute("SELECT answer FROM t").fetchone() == (42,)


def test_a_cluster_asks_for_its_password(postgres_server: str) -> None:
    user, _, rest = postgres_server.partition("//")[2].partition(":")
    where = rest.partition("@")[2]
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"postgresql://{user}:guess@{where}")


def test_a_cluster_keeps_its_data_through_a_crash_and_a_new_start() -> None:
    with temporary_folder() as folder:
        server = Postgres(folder / "postgres")
        with psycopg.connect(server.start()) as connection:
            connection.execute("CREATE TABLE t (id int)")
        server.kill()
        server.restart()
        server.stop()
        with Postgres(folder / "postgres") as uri, psycopg.connect(uri) as connection:
            assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes who runs the server")
def test_root_runs_the_server_as_somebody_else(postgres: Postgres) -> None:
    assert postgres.process is not None
    with open(f"/proc/{postgres.process.pid}/status") as status:  # noqa: PTH123
        uid = next(line for line in status if line.startswith("Uid:")).split()[1]
    assert int(uid) != 0


@pytest.mark.kafka
def test_a_record_goes_through_the_broker(kafka: str, topic: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    admin.create_topics([NewTopic(topic, num_partitions=3, replication_factor=1)])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=kafka)
    producer.send(topic, key=b"member", value=b"{}").get(timeout=30)
    producer.close()
    consumer = KafkaConsumer(topic, bootstrap_servers=kafka, auto_offset_reset="earliest")
    record = next(consumer)
    consumer.close()
    assert (record.key, record.value) == (b"member", b"{}")


def test_a_mail_is_caught_and_shown(mailbox: Mailbox) -> None:
    send(mailbox, "a@example.com", subject="Code", text="Your code:\n\n123456\n")
    send(mailbox, "b@example.com")
    (mail,) = mailbox.wait(to="A@example.com")
    assert "123456" in mail.text.splitlines()
    assert [m.to for m in mailbox.wait(count=2)] == ["b@example.com", "a@example.com"]

    body, _ = get(f"{mailbox.url}/messages?to=a%40example.com")
    (shown,) = json.loads(body)["messages"]
    assert set(shown) == {"id", "to", "subject", "text", "html", "received_at"}
    assert shown["subject"] == "Code"


def test_the_mailbox_page_runs_nothing_from_a_mail(mailbox: Mailbox) -> None:
    evil = "<script>alert(1)</script> http://x.example/\"onclick='1'"
    send(mailbox, "a@example.com", subject=evil, text=evil)
    mailbox.wait()
    page, policy = get(mailbox.url)
    assert "<script>alert" not in page
    assert "onclick='1'" not in page
    assert "default-src 'none'" in policy


def test_the_mailbox_refuses_foreign_host_names(mailbox: Mailbox) -> None:
    with pytest.raises(urllib.error.HTTPError, match="421"):
        get(mailbox.url, Host="evil.example")


def test_the_mailbox_stays_on_the_loopback_address() -> None:
    with pytest.raises(CannotStart, match="loopback"):
        Mailbox(smtp="0.0.0.0:1025")


def test_waiting_for_a_mail_ends(mailbox: Mailbox) -> None:
    with pytest.raises(TimeoutError, match="0 of 1 mails"):
        mailbox.wait(to="a@example.com", timeout=0.1)
