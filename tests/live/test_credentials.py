"""Bearer tokens: found by hash while they live, spent once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from commands.ports import Credential
from tests.live.test_store import context
from twinlock.adapters.credentials import EXPIRED, OLD_DECOY
from twinlock.adapters.database import MOST_DELETED
from twinlock.adapters.idempotency import OLD
from twinlock.composition import Twinlock
from workers import mail_queue

pytestmark = pytest.mark.live

TOKEN = "t" * 43


def credential(kind: str = "login", subject: str = "l1", life: float | None = 60) -> Credential:
    expires_at = None if life is None else datetime.now(UTC) + timedelta(seconds=life)
    return Credential(kind=kind, subject=subject, claims={"a": [1, None]}, expires_at=expires_at)


def issue(twinlock: Twinlock, issued: Credential, token: str = TOKEN) -> None:
    twinlock.store.append(context(), also=(twinlock.credentials.issue(issued, token),))


def test_an_issued_token_is_found_as_it_was(twinlock: Twinlock) -> None:
    issued = credential()
    issue(twinlock, issued)
    assert twinlock.credentials.find("login", TOKEN) == issued


@pytest.mark.parametrize(("kind", "token"), [("login", "u" * 43), ("api", TOKEN), ("login", "\0é")])
def test_another_token_or_kind_is_not_found(twinlock: Twinlock, kind: str, token: str) -> None:
    issue(twinlock, credential())
    assert twinlock.credentials.find(kind, token) is None


def test_only_a_hash_is_stored(twinlock: Twinlock) -> None:
    issue(twinlock, credential())
    (row,) = twinlock.database.fetch("select credentials::text from credentials")
    assert TOKEN not in row[0]


def test_an_expired_token_is_not_found_and_pruned(twinlock: Twinlock) -> None:
    issue(twinlock, credential(life=-1))
    assert twinlock.credentials.find("login", TOKEN) is None
    assert twinlock.credentials.by_subject("login", "l1") is None
    assert twinlock.credentials.spend("login", TOKEN) is None
    assert twinlock.credentials.prune() == 1


@pytest.mark.parametrize(
    ("table", "where", "index"),
    [
        ("credentials", EXPIRED, "credentials_expiry"),
        ("credential_decoys", OLD_DECOY, "credential_decoys_age"),
        ("idempotency", OLD.replace("%s", "'24h'"), "idempotency_age"),
        ("mail_queue", mail_queue.FORGOTTEN, "mail_queue_done"),
    ],
)
def test_what_is_pruned_is_found_by_an_index(
    twinlock: Twinlock, table: str, where: str, index: str
) -> None:
    plan = twinlock.database.fetch(f"explain select from {table} where {where} limit 1000")
    assert f"using {index}" in str(plan)


def test_a_backlog_is_pruned_to_the_last(twinlock: Twinlock) -> None:
    twinlock.database.execute(
        "insert into credentials (token_hash, kind, subject, claims, expires_at)"
        " select n::text::bytea, 'login', 'l', '{}', now() + interval '1s' * (1.5 - n)"
        " from generate_series(1, 2 * %s + 1) n",
        (MOST_DELETED,),
    )
    assert twinlock.credentials.prune() == 2 * MOST_DELETED
    assert twinlock.credentials.prune() == 0


def test_of_many_who_spend_a_token_one_gets_it(twinlock: Twinlock) -> None:
    issue(twinlock, credential("handover"))
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda _: twinlock.credentials.spend("handover", TOKEN), range(24)))
    assert sum(each is not None for each in got) == 1


def test_withdrawing_ends_every_token_about_a_subject(twinlock: Twinlock) -> None:
    issue(twinlock, credential("api", "t1", None))
    issue(twinlock, credential("api", "t2", None), "u" * 43)
    twinlock.store.append(context(), also=(twinlock.credentials.withdraw("api", "t1"),))
    assert [each.subject for each in twinlock.credentials.of_kind("api")] == ["t2"]


def test_the_newest_about_a_subject_is_found(twinlock: Twinlock) -> None:
    issue(twinlock, credential(life=60))
    newest = credential(life=120)
    issue(twinlock, newest, "u" * 43)
    assert twinlock.credentials.by_subject("login", "l1") == newest


def test_a_decoy_is_written_means_nothing_and_goes(twinlock: Twinlock) -> None:
    twinlock.store.append(context(), also=(twinlock.credentials.decoy(),))
    assert twinlock.database.fetch("select count(*) from credential_decoys") == [(1,)]
    twinlock.database.execute("update credential_decoys set created_at = 'yesterday'")
    assert twinlock.credentials.prune() == 1


def test_a_write_does_not_show_its_token(twinlock: Twinlock) -> None:
    assert "b'" not in repr(twinlock.credentials.issue(credential(), TOKEN))
