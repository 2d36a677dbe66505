"""What the API and the workers are handed, out of a built Twinlock."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from api.backend import Backend, Backlog, Published
from api.streams import Places, Streams
from domain.member_mfa import MemberMFA
from projections import progress
from projections.models import MODELS
from projections.progress import EMBEDDED
from twinlock.adapters.embedded import EmbeddedLog
from twinlock.adapters.mail import SmtpOutbox
from twinlock.adapters.sitting import Sittings
from twinlock.composition import Twinlock
from twinlock.proofs import TreeProofs
from twinlock.settings import Settings, password_in, security_words
from workers import asyncapi, mail_queue
from workers.checkpoints import SUFFIX, FileWitness, TopicWitness, Witness
from workers.cloud_events import LOG_KEY, Envelope
from workers.mailer import Scribe
from workers.member_states import SUFFIX as MEMBERS_SUFFIX
from workers.member_states import MemberStates
from workers.notary import Notary
from workers.ports import RelayedLog
from workers.run import Parts

PAGE: Final = 500
MOST_PAGES: Final = 20
"""How many records a call looks through for its types, before it answers what it found."""


def backend(twinlock: Twinlock) -> Backend:
    """Everything that requests are answered with; connects to nothing yet."""
    settings = twinlock.settings
    return Backend(
        desk=twinlock.desk,
        sit=Sittings(twinlock.database, twinlock.store, twinlock.vault, twinlock.credentials),
        reads=twinlock.reads,
        idempotency=twinlock.idempotency,
        limiter=twinlock.limits,
        events=partial(leaving, twinlock),
        proofs=TreeProofs(twinlock.reads, twinlock.notary),
        jwks=twinlock.passes.jwks,
        clock=lambda: datetime.now(UTC),
        public_url=settings.public_url,
        sessions=twinlock.sessions,
        passwords=twinlock.passwords if settings.demo else None,
        anonymous_limit=settings.anonymous_limit,
        trusted_proxies=settings.trusted_proxies,
        metrics=settings.metrics,
        streams=Streams(most=max(1, settings.threads // 2)),
        exports=Places(most=max(1, settings.threads // 4)),
        published=Published(
            asyncapi=asyncapi.document(settings.topic, settings.public_url),
            schemas=asyncapi.schemas(settings.public_url),
        ),
        checks={"database": twinlock.check_writes, "keys": twinlock.check_keys},
        backlog=partial(backlog, twinlock) if settings.metrics else None,
    )


def envelope(twinlock: Twinlock) -> Envelope:
    """How events are wrapped; needs the vault's root."""
    return Envelope(twinlock.settings.public_url, twinlock.keys.derived(LOG_KEY))


def leaving(
    twinlock: Twinlock,
    *,
    after: int,
    types: frozenset[str] | None,
    workspace_id: str | None,
    limit: int,
) -> tuple[Sequence[Mapping[str, Any]], int]:
    """Implements `api.backend.Events`: CloudEvents behind a position, and where to go on."""
    wrap, found = envelope(twinlock), list[Mapping[str, Any]]()
    for _ in range(MOST_PAGES):
        records = twinlock.store.events(after, PAGE)
        for record in records:
            after = record.position
            if types is not None and record.topic.rpartition(".v")[0] not in types:
                continue
            event = wrap.wrap(record)
            if workspace_id is not None and event.get("workspaceid") != workspace_id:
                continue
            found.append(event)
            if len(found) == limit:
                return found, after
        if len(records) < PAGE:
            break
    return found, after


def backlog(twinlock: Twinlock) -> Backlog:
    """What is left to do, for whoever watches."""
    models = [*(model.key for model in MODELS), mail_queue.KEY]
    with twinlock.reads.connection() as connection:
        mails = connection.execute(mail_queue.OVERDUE.encode()).fetchone()
        return Backlog(
            behind={model: progress.behind(connection, model) for model in models},
            parked=progress.parked(connection, models),
            overdue_mails=mails[0] if mails else 0,
        )


def parts(twinlock: Twinlock) -> Parts:
    """What the workers are made of."""
    settings, wrap = twinlock.settings, envelope(twinlock)
    embedded = EmbeddedLog(twinlock.store, wrap)
    relayed = kafka(settings) if settings.kafka else None
    return Parts(
        store=twinlock.store,
        connect=twinlock.connect,
        envelope=wrap,
        log=relayed or embedded,
        relayed=relayed,
        member_states=_member_states(twinlock) if settings.kafka else None,
        outbox=outbox(settings),
        scribe=Scribe(
            vault=twinlock.vault,
            keys=twinlock.keys,
            public_url=settings.public_url,
            issuer=settings.issuer,
        ),
        notary=notary(twinlock),
        prunes=(
            ("credentials", twinlock.credentials.prune),
            ("idempotency", twinlock.idempotency.prune),
            ("limits", lambda: twinlock.limits.prune(datetime.now(UTC))),
            ("sessions", lambda: twinlock.sessions.prune(datetime.now(UTC))),
            ("mails", lambda: twinlock.database.delete("mail_queue", mail_queue.FORGOTTEN)),
        ),
    )


def notary(twinlock: Twinlock) -> Notary:
    """The notary, with all that keeps its checkpoints outside of the database."""
    store, signer = twinlock.store, twinlock.notary
    return Notary(store, twinlock.connect, signer, witnesses(twinlock.settings))


def witnesses(settings: Settings) -> list[Witness]:
    """Where checkpoints are kept outside of the database."""
    found: list[Witness] = []
    if settings.checkpoint_file:
        found.append(FileWitness(settings.checkpoint_file))
    if settings.kafka:
        topic = side_topic(settings, settings.topic + SUFFIX, partitions=1)
        found.append(TopicWitness(topic))
    return found


def outbox(settings: Settings) -> SmtpOutbox:
    """Where mails go out."""
    return SmtpOutbox(
        settings.smtp,
        settings.mail_from,
        settings.smtp_user,
        settings.smtp_password.get_secret_value(),
        settings.smtp_tls,
    )


def kafka(settings: Settings) -> Any:
    """The log on Kafka; its client is loaded only where it is used."""
    from twinlock.adapters.kafka import KafkaLog

    return KafkaLog(settings.kafka, settings.topic, security=kafka_security(settings))


def _member_states(twinlock: Twinlock) -> MemberStates:
    """What keeps the compacted topic of members."""
    settings = twinlock.settings
    topic = side_topic(settings, settings.topic + MEMBERS_SUFFIX, compacted=True)
    load = partial(twinlock.store.load, MemberMFA)
    return MemberStates(twinlock.store, twinlock.connect, topic, load)


def side_topic(settings: Settings, name: str, **said: Any) -> RelayedLog:
    """Another topic on the same brokers."""
    log: RelayedLog = replace(kafka(settings), topic=name, **said)
    return log


def log_of(settings: Settings) -> str:
    """The name of the log that feeds the read models."""
    return settings.topic if settings.kafka else EMBEDDED


def partition_of(settings: Settings) -> Callable[[str, int], int]:
    """Which partition of the log a stream is in, of how many."""
    if not settings.kafka:
        return lambda _, __: 0
    from twinlock.adapters import kafka

    return kafka.partition_of


def kafka_security(settings: Settings) -> dict[str, Any]:
    """KAFKA_SECURITY in the words of the Kafka client."""
    given = security_words(settings.kafka_security)
    words: dict[str, Any] = {}
    if protocol := given.get("protocol"):
        words["security_protocol"] = protocol.upper()
    if ca := given.get("ca"):
        words["ssl_cafile"] = ca
    if user := given.get("user"):
        words["sasl_mechanism"] = given.get("mechanism", "SCRAM-SHA-256").upper()
        words["sasl_plain_username"] = user
        words["sasl_plain_password"] = password_in(given["password_file"])
    return words
