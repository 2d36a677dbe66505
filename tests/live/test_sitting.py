"""What one request has read: once each, forgotten at every append, and never kept for the next."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from commands.ports import Credential, Desk, Stale
from domain.member_facts import MemberAdded, Registered
from domain.member_mfa import MemberMFA
from domain.refusals import Unavailable
from domain.workspace import Workspace, WorkspaceCreated
from tests.live.test_store import context
from twinlock.adapters import credentials
from twinlock.adapters.sitting import Sittings
from twinlock.composition import Twinlock

pytestmark = pytest.mark.live

TOKEN = "t" * 43
SOME_DAY = datetime(2100, 1, 1, tzinfo=UTC)
JOINED = (Registered(), MemberAdded(workspace_id="acme", member_id="m1", role="member"))


def sit(twinlock: Twinlock) -> Desk:
    parts = (twinlock.database, twinlock.store, twinlock.vault, twinlock.credentials)
    return Sittings(*parts)(twinlock.desk)


def opened(twinlock: Twinlock) -> Credential:
    """A login of m1's, who has an authenticator's secret in the vault."""
    claims: dict[str, Any] = {"member_id": "m1", "workspace_id": "acme", "revocations": 0}
    login = Credential(kind="login", subject="l1", claims=claims, expires_at=SOME_DAY)
    changes = ((MemberMFA("m1"), JOINED), (Workspace("acme"), (WorkspaceCreated(),)))
    also = (
        twinlock.vault.seal("member/m1", "totp/b1", b"secret"),
        twinlock.credentials.issue(login, TOKEN),
    )
    twinlock.store.append(context(), *changes, also=also)
    return login


def close_the_database(twinlock: Twinlock, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the database was asked")

    monkeypatch.setattr(type(twinlock.database), "connection", refuse)


def test_a_logins_token_brings_its_streams_and_its_secret(
    twinlock: Twinlock, monkeypatch: pytest.MonkeyPatch
) -> None:
    login, desk = opened(twinlock), sit(twinlock)
    assert desk.credentials.find("login", TOKEN) == login
    close_the_database(twinlock, monkeypatch)
    member, workspace = desk.store.load_pair((MemberMFA, "m1"), (Workspace, "acme"))
    assert (member.version, workspace.created) == (2, True)
    assert desk.vault.open("member/m1", "totp/b1") == b"secret"


def test_another_token_brings_nothing(twinlock: Twinlock) -> None:
    opened(twinlock)
    assert sit(twinlock).credentials.find("login", "u" * 43) is None
    assert sit(twinlock).credentials.find("api", TOKEN) is None


def test_whoever_lost_a_race_loads_anew(twinlock: Twinlock) -> None:
    opened(twinlock)
    desk = sit(twinlock)
    desk.credentials.find("login", TOKEN)
    before = desk.store.load(MemberMFA, "m1")
    twinlock.store.append(context(), (before, (Registered(),)))
    assert desk.store.load(MemberMFA, "m1") is before
    with pytest.raises(Stale):
        desk.store.append(context(), (before, (Registered(),)))
    assert desk.store.load(MemberMFA, "m1").version == before.version + 1


def test_a_secret_that_went_away_makes_it_forget(twinlock: Twinlock) -> None:
    desk = sit(twinlock)
    blank = desk.store.load(MemberMFA, "m1")
    opened(twinlock)
    with pytest.raises(Unavailable):
        desk.vault.open("member/m1", "totp/b2")
    assert desk.store.load(MemberMFA, "m1").version > blank.version


def test_whoever_asks_for_the_head_reads_up_to_it(twinlock: Twinlock) -> None:
    desk = sit(twinlock)
    blank = desk.store.load(MemberMFA, "m1")
    opened(twinlock)
    assert desk.store.head() > 0
    assert desk.store.load(MemberMFA, "m1").version > blank.version


def test_nothing_is_kept_for_the_next_request(twinlock: Twinlock) -> None:
    first = sit(twinlock)
    first.store.load(MemberMFA, "m1")
    opened(twinlock)
    parts = (twinlock.database, twinlock.store, twinlock.vault, twinlock.credentials)
    assert Sittings(*parts)(first).store.load(MemberMFA, "m1").version == 2


def test_a_desk_of_other_parts_is_left_as_it_is(twinlock: Twinlock) -> None:
    other = replace(twinlock.desk, vault=sit(twinlock).vault)
    parts = (twinlock.database, twinlock.store, twinlock.vault, twinlock.credentials)
    assert Sittings(*parts)(other) is other


def test_an_api_token_is_looked_up_once_a_second(
    twinlock: Twinlock, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = Credential(kind="api", subject="t1", claims={})
    twinlock.store.append(context(), also=(twinlock.credentials.issue(token, TOKEN),))
    assert twinlock.credentials.find("api", TOKEN) == token
    twinlock.database.execute("delete from credentials")  # by another process
    assert twinlock.credentials.find("api", TOKEN) == token
    monkeypatch.setattr(credentials, "KEEP", 0.0)
    assert twinlock.credentials.find("api", TOKEN) is None


def test_a_token_revoked_here_ends_at_once(twinlock: Twinlock) -> None:
    token = Credential(kind="api", subject="t1", claims={})
    twinlock.store.append(context(), also=(twinlock.credentials.issue(token, TOKEN),))
    twinlock.credentials.find("api", TOKEN)
    twinlock.store.append(context(), also=(twinlock.credentials.withdraw("api", "t1"),))
    assert twinlock.credentials.find("api", TOKEN) is None
