"""Passes: read back as signed, and nothing else is taken for one."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc import jws, jwt
from joserfc.jwk import OKPKey

from commands.ports import Pass
from twinlock.adapters.passes import ONLY_EDDSA, TYPE, SignedPasses, SigningKey
from twinlock.composition import Twinlock, build

pytestmark = pytest.mark.live

AT = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
PASS = Pass(
    member_id="m1",
    workspace_id="acme",
    amr=("pwd", "otp", "mfa"),
    epoch=3,
    auth_time=AT,
    issued_at=AT,
    expires_at=AT + timedelta(hours=12),
    id="p1",
)


def test_a_pass_is_read_back_as_it_was_signed(twinlock: Twinlock) -> None:
    assert twinlock.passes.read(twinlock.passes.sign(PASS), AT) == PASS


def test_the_claims_are_those_of_the_contract(twinlock: Twinlock) -> None:
    token = twinlock.passes.sign(PASS)
    header, claims = (json.loads(decoded(part)) for part in token.split(".")[:2])
    kid = twinlock.passes.jwks()["keys"][0]["kid"]
    assert header == {"typ": TYPE, "alg": "EdDSA", "kid": kid}
    assert claims == {
        "iss": twinlock.settings.public_url,
        "aud": "twinlock:acme",
        "sub": "m1",
        "wid": "acme",
        "amr": ["pwd", "otp", "mfa"],
        "auth_time": 1777896000,
        "iat": 1777896000,
        "exp": 1777939200,
        "jti": "p1",
        "epoch": 3,
    }


def test_the_published_keys_are_public_and_verify(twinlock: Twinlock) -> None:
    (key,) = twinlock.passes.jwks()["keys"]
    assert set(key) == {"kty", "crv", "x", "kid", "use", "alg"}
    verified = jws.deserialize_compact(
        twinlock.passes.sign(PASS), OKPKey.import_key(key), registry=ONLY_EDDSA
    )
    assert verified.payload


def test_an_expired_pass_is_not_read(twinlock: Twinlock) -> None:
    token = twinlock.passes.sign(PASS)
    assert twinlock.passes.read(token, PASS.expires_at - timedelta(seconds=1))
    assert twinlock.passes.read(token, PASS.expires_at) is None


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def encoded(value: Any) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


Forger = Callable[[dict[str, Any], dict[str, Any], SigningKey], str]


def signed(header: dict[str, Any], claims: dict[str, Any], key: OKPKey) -> str:
    return jwt.encode(header, claims, key, registry=ONLY_EDDSA, default_type=None)


def without(given: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in given.items() if key != name}


def hs256(header: dict[str, Any], claims: dict[str, Any], key: SigningKey) -> str:
    start = f"{encoded({**header, 'alg': 'HS256'})}.{encoded(claims)}"
    secret = decoded(key.public()["x"])
    return f"{start}.{encoded(hmac.new(secret, start.encode(), hashlib.sha256).digest())}"


def tampered(header: dict[str, Any], claims: dict[str, Any], key: SigningKey) -> str:
    first, _, last = signed(header, claims, key.pair).split(".")
    return f"{first}.{encoded({**claims, 'sub': 'm2'})}.{last}"


def resigned(header: dict[str, Any], claims: dict[str, Any], key: SigningKey) -> str:
    return signed(header, claims, OKPKey.generate_key("Ed25519", {"kid": key.kid}))


def with_own_key(header: dict[str, Any], claims: dict[str, Any], key: SigningKey) -> str:
    own = OKPKey.generate_key("Ed25519")
    return signed({**header, "jwk": own.as_dict(False)}, claims, own)


def with_header(
    other: dict[str, Any], header: dict[str, Any], claims: dict[str, Any], key: SigningKey
) -> str:
    return f"{encoded(other)}.{signed(header, claims, key.pair).partition('.')[2]}"


FORGERS: dict[str, Forger] = {
    "no algorithm": lambda h, c, k: f"{encoded({**h, 'alg': 'none'})}.{encoded(c)}.",
    "no algorithm, old signature": lambda h, c, k: (
        f"{encoded({**h, 'alg': 'none'})}.{signed(h, c, k.pair).partition('.')[2]}"
    ),
    "public key as a secret": hs256,
    "tampered": tampered,
    "another key under our id": resigned,
    "a key of its own": with_own_key,
    "no key id": lambda h, c, k: signed(without(h, "kid"), c, k.pair),
    "unknown key id": lambda h, c, k: signed({**h, "kid": "x"}, c, k.pair),
    "key id that is no text": lambda h, c, k: with_header({**h, "kid": [k.kid]}, h, c, k),
    "another type": lambda h, c, k: signed({**h, "typ": "JWT"}, c, k.pair),
    "no type": lambda h, c, k: signed(without(h, "typ"), c, k.pair),
    "no end": lambda h, c, k: signed(h, without(c, "exp"), k.pair),
    "an end that is text": lambda h, c, k: signed(h, {**c, "exp": "9999999999"}, k.pair),
    "an end beyond time": lambda h, c, k: signed(h, {**c, "exp": 10**30}, k.pair),
    "another audience": lambda h, c, k: signed(h, {**c, "aud": "twinlock:evil"}, k.pair),
    "several audiences": lambda h, c, k: signed(h, {**c, "aud": [c["aud"]]}, k.pair),
    "another issuer": lambda h, c, k: signed(h, {**c, "iss": "https://evil.example"}, k.pair),
    "no epoch": lambda h, c, k: signed(h, without(c, "epoch"), k.pair),
    "an epoch that is true": lambda h, c, k: signed(h, {**c, "epoch": True}, k.pair),
    "no subject": lambda h, c, k: signed(h, without(c, "sub"), k.pair),
    "expired": lambda h, c, k: signed(h, {**c, "exp": int(AT.timestamp())}, k.pair),
    "not a token": lambda h, c, k: "x.y",
    "nothing": lambda h, c, k: "",
    "not ASCII": lambda h, c, k: signed(h, c, k.pair) + "é",
    "white space": lambda h, c, k: " " + signed(h, c, k.pair),
}


@pytest.mark.parametrize("forger", FORGERS.values(), ids=FORGERS.keys())
def test_a_forged_pass_is_not_read(twinlock: Twinlock, forger: Forger) -> None:
    genuine = twinlock.passes.sign(PASS)
    header, claims = (json.loads(decoded(part)) for part in genuine.split(".")[:2])
    (stored,) = twinlock.vault.items("system", "pass/").values()
    key = SigningKey.parse(stored)
    assert twinlock.passes.read(signed(header, claims, key.pair), AT) == PASS
    assert twinlock.passes.read(forger(header, claims, key), AT) is None


def test_after_a_rotation_older_passes_hold_and_new_ones_have_the_new_key(
    twinlock: Twinlock,
) -> None:
    old = twinlock.passes.sign(PASS)
    kid = twinlock.passes.rotate(datetime.now(UTC))
    new = twinlock.passes.sign(PASS)
    assert json.loads(decoded(new.split(".")[0]))["kid"] == kid
    assert twinlock.passes.read(old, AT) == twinlock.passes.read(new, AT) == PASS
    assert len(twinlock.passes.jwks()["keys"]) == 2


def test_a_rotation_counts_though_the_clock_has_gone_back(twinlock: Twinlock) -> None:
    older = twinlock.passes.rotate(datetime.now(UTC) + timedelta(hours=1))
    for at in (datetime.now(UTC), datetime.now(UTC)):
        kid = twinlock.passes.rotate(at)
        assert json.loads(decoded(twinlock.passes.sign(PASS).split(".")[0]))["kid"] == kid != older


def test_another_process_learns_a_new_key_from_its_first_pass(twinlock: Twinlock) -> None:
    other = build(twinlock.settings)
    other.passes.sign(PASS)
    other.passes._read_at -= 2  # as if it had read its keys two seconds ago
    twinlock.passes.rotate(datetime.now(UTC))
    assert other.passes.read(twinlock.passes.sign(PASS), AT) == PASS
    other.close()


def test_a_key_whose_passes_have_all_expired_is_dropped(twinlock: Twinlock) -> None:
    life = twinlock.settings.pass_life
    first = twinlock.passes.jwks()["keys"][0]["kid"]
    now = datetime.now(UTC)
    twinlock.passes.rotate(now)
    twinlock.passes.rotate(now + life + timedelta(minutes=2))
    kids = [key["kid"] for key in twinlock.passes.jwks()["keys"]]
    assert len(kids) == 2
    assert first not in kids


def test_a_replaced_key_is_good_only_as_long_as_its_passes(twinlock: Twinlock) -> None:
    """Whoever has stolen it could give its passes any time of issue and any end."""
    now, life = datetime.now(UTC), twinlock.settings.pass_life
    forged = twinlock.passes.sign(replace(PASS, expires_at=now + timedelta(days=3650)))
    twinlock.passes.rotate(now)  # and nobody rotates again
    assert twinlock.passes.read(forged, now + life) is not None
    assert twinlock.passes.read(forged, now + life + timedelta(minutes=2)) is None


def test_a_key_that_was_replaced_long_ago_is_not_published(twinlock: Twinlock) -> None:
    now = datetime.now(UTC)
    older = [SigningKey.new(now - timedelta(days=days)) for days in (90, 89)]
    with twinlock.connect() as connection:
        for key in older:
            twinlock.vault.put(connection, "system", f"pass/{key.kid}", key.plain())
    kids = [key["kid"] for key in twinlock.passes.jwks()["keys"]]
    assert kids[1:] == [older[1].kid]


def test_a_key_does_not_show_in_a_repr() -> None:
    assert "OKPKey" not in repr(SigningKey.new(AT))
    assert SignedPasses.__repr__ is object.__repr__
