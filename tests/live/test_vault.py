"""The vault: what is sealed opens for its owner and item only, until it is destroyed."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from domain.refusals import Unavailable
from tests.live.test_store import context
from tests.support.built import a_master_key, some_settings
from twinlock.adapters.keyring import BadKeys, Keyring, MasterKeys
from twinlock.adapters.vault import SealedVault
from twinlock.composition import Twinlock, build

pytestmark = pytest.mark.live

OWNER = "member/m1"


def counts(twinlock: Twinlock) -> dict[str, int]:
    with twinlock.connect() as connection:
        return twinlock.vault.key_ids(connection)


def keep(twinlock: Twinlock, item: str, plain: bytes, owner: str = OWNER) -> None:
    twinlock.store.append(context(), also=(twinlock.vault.seal(owner, item, plain),))


def test_what_was_sealed_is_opened(twinlock: Twinlock) -> None:
    keep(twinlock, "contact", b"m1@example.com")
    assert twinlock.vault.open(OWNER, "contact") == b"m1@example.com"


def test_nothing_readable_is_stored(twinlock: Twinlock) -> None:
    keep(twinlock, "contact", b"marked-secret")
    stored = twinlock.database.fetch("select sealed from vault_items")
    assert all(b"marked" not in bytes(row[0]) for row in stored)


def test_a_missing_item_is_none_to_peek_and_unavailable_to_open(twinlock: Twinlock) -> None:
    assert twinlock.vault.peek(OWNER, "contact") is None
    with pytest.raises(Unavailable):
        twinlock.vault.open(OWNER, "contact")


@pytest.mark.parametrize(
    "swap",
    [
        "update vault_items set item = 'totp/2' where item = 'totp/1'",
        """update vault_items i set sealed = o.sealed from vault_items o
        where i.owner = 'member/m1' and o.owner = 'member/m2'""",
        """update vault_keys k set wrapped = o.wrapped from vault_keys o
        where k.owner = 'member/m1' and o.owner = 'member/m2'""",
        "update vault_items set sealed = overlay(sealed placing '\\x00'::bytea from 20)",
        "update vault_items set sealed = ''",
        "update vault_keys set key_id = 'unheard-of'",
    ],
)
def test_swapped_and_broken_rows_do_not_open(twinlock: Twinlock, swap: str) -> None:
    keep(twinlock, "totp/1", b"m1's")
    keep(twinlock, "totp/1", b"m2's", owner="member/m2")
    twinlock.database.execute(swap)
    for item in ("totp/1", "totp/2"):
        with pytest.raises(Unavailable):
            twinlock.vault.open(OWNER, item)


def test_a_broken_key_never_looks_like_nothing(twinlock: Twinlock) -> None:
    keep(twinlock, "contact", b"x")
    twinlock.database.execute("update vault_keys set wrapped = 'x'")
    with pytest.raises(Unavailable):
        twinlock.vault.peek(OWNER, "contact")


def test_discarding_under_a_name_takes_all_of_it_and_no_more(twinlock: Twinlock) -> None:
    for item in ("totp/1", "totp/2", "totp", "recovery/1"):
        keep(twinlock, item, b"x")
    twinlock.store.append(context(), also=(twinlock.vault.discard(OWNER, "totp/"),))
    left = twinlock.database.fetch("select item from vault_items where owner = 'member/m1'")
    assert {row[0] for row in left} == {"totp", "recovery/1"}


def test_destroying_takes_key_items_and_address(twinlock: Twinlock) -> None:
    vault = twinlock.vault
    keep(twinlock, "contact", b"x")
    twinlock.store.append(context(), also=(vault.claim_address("m1", "m1@example.com"),))
    twinlock.store.append(context(), also=(vault.destroy(OWNER),))
    assert vault.peek(OWNER, "contact") is None
    assert vault.member_at("m1@example.com") is None
    assert not twinlock.database.fetch("select 1 from vault_keys where owner = 'member/m1'")


def test_what_was_sealed_before_the_owner_was_destroyed_is_refused(twinlock: Twinlock) -> None:
    late = twinlock.vault.seal(OWNER, "contact", b"x")
    twinlock.store.append(context(), also=(twinlock.vault.destroy(OWNER),))
    with pytest.raises(Unavailable):
        twinlock.store.append(context(), also=(late,))


def test_an_address_is_found_whatever_its_case_and_form(twinlock: Twinlock) -> None:
    claim = twinlock.vault.claim_address("m1", "Zo\u00eb@Example.com")
    twinlock.store.append(context(), also=(claim,))
    assert twinlock.vault.member_at(" zoe\u0308@EXAMPLE.com ") == "m1"
    assert twinlock.vault.member_at("zoe@example.com") is None


def test_many_first_seals_at_once_share_one_key(twinlock: Twinlock) -> None:
    def seal(number: int) -> None:
        keep(twinlock, f"item-{number}", str(number).encode())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(seal, range(24)))
    assert all(twinlock.vault.open(OWNER, f"item-{n}") == str(n).encode() for n in range(24))


def test_rotation_rewraps_everything_while_the_old_key_still_opens(
    twinlock: Twinlock, tmp_path: Path
) -> None:
    keep(twinlock, "contact", b"x")
    assert twinlock.settings.master_key is not None
    old, new = twinlock.settings.master_key.get_secret_value(), a_master_key("k2")
    file = tmp_path / "keys"
    file.write_text(f"{old}\n")
    vault = SealedVault(twinlock.database, Keyring(file=file))
    file.write_text(f"{new}\n{old}\n")
    assert vault.rotate() == (2, [])  # the member's and the system's
    assert vault.rotate() == (0, [])
    assert vault.open(OWNER, "contact") == b"x"
    assert counts(twinlock) == {"k2": 2}
    with pytest.raises(Unavailable):
        twinlock.vault.open(OWNER, "contact")  # knows k1 only
    alone = SealedVault(twinlock.database, Keyring(new))
    assert alone.open(OWNER, "contact") == b"x"


def test_a_serving_process_reads_its_key_file_again_when_a_key_is_new(
    twinlock: Twinlock, tmp_path: Path
) -> None:
    keep(twinlock, "contact", b"x")
    assert twinlock.settings.master_key is not None
    old, new = twinlock.settings.master_key.get_secret_value(), a_master_key("k2")
    file = tmp_path / "keys"
    file.write_text(old)
    serving = SealedVault(twinlock.database, Keyring(file=file))
    assert serving.open(OWNER, "contact") == b"x"
    file.write_text(f"{new},{old}")
    assert SealedVault(twinlock.database, Keyring(f"{new},{old}")).rotate() == (2, [])
    assert serving.open(OWNER, "contact") == b"x"


def test_a_serving_process_seals_nothing_new_under_a_key_that_was_taken_away(
    twinlock: Twinlock, tmp_path: Path
) -> None:
    assert twinlock.settings.master_key is not None
    old, new = twinlock.settings.master_key.get_secret_value(), a_master_key("k2")
    file = tmp_path / "keys"
    file.write_text(old)
    serving = SealedVault(twinlock.database, Keyring(file=file))
    file.write_text(f"{new},{old}")
    twinlock.store.append(context(), also=(serving.seal(OWNER, "contact", b"x"),))
    assert SealedVault(twinlock.database, Keyring(new)).open(OWNER, "contact") == b"x"


def test_a_damaged_key_stops_the_rotation_of_no_other(twinlock: Twinlock) -> None:
    owners = [f"member/m{n}" for n in range(3)]
    for owner in owners:
        keep(twinlock, "contact", b"x", owner)
    twinlock.database.execute("update vault_keys set wrapped = 'x' where owner = %s", (owners[1],))
    assert twinlock.settings.master_key is not None
    old, new = twinlock.settings.master_key.get_secret_value(), a_master_key("k2")
    vault = SealedVault(twinlock.database, Keyring(f"{new},{old}"))
    assert vault.rotate() == (3, [owners[1]])
    assert counts(twinlock) == {"k1": 1, "k2": 3}


def test_derived_keys_differ_by_purpose_and_are_the_same_in_every_process(
    twinlock: Twinlock,
) -> None:
    other = build(twinlock.settings)
    assert twinlock.keys.derived("a") != twinlock.keys.derived("b")
    assert twinlock.keys.derived("a") == other.keys.derived("a")
    other.close()


def test_other_master_keys_are_refused_at_the_start(twinlock: Twinlock, database: str) -> None:
    other = build(some_settings(database, master_key=SecretStr(a_master_key())))
    with pytest.raises(Unavailable):
        other.check_keys()
    other.close()


@pytest.mark.parametrize("text", ["", "k1", "k1:abc", "k1:YWJj", "k1:!!!", "a b:YWJj"])
def test_bad_master_keys_are_refused(text: str) -> None:
    with pytest.raises(BadKeys):
        MasterKeys.parse(text)


def test_a_key_id_given_twice_is_refused() -> None:
    with pytest.raises(BadKeys):
        MasterKeys.parse(f"{a_master_key()},{a_master_key()}")


def test_keys_do_not_show_in_a_repr(twinlock: Twinlock) -> None:
    keys = MasterKeys.parse(a_master_key())
    write = twinlock.vault.seal(OWNER, "contact", b"x")
    assert "b'" not in repr(keys)
    assert "b'" not in repr(write)
    assert repr(replace(keys)) == repr(keys)
