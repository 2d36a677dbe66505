"""Passes: JSON web tokens (RFC 7519) signed with Ed25519, their keys kept in the vault."""

import base64
import json
import re
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, cast

from joserfc import jws, jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwa import EdDSAAlgorithm, JWSAlgModel
from joserfc.jwk import OKPKey
from psycopg import Connection
from pydantic_core import to_json

from commands.ports import Pass
from domain.refusals import Unavailable
from twinlock.adapters.database import Database
from twinlock.adapters.vault import SYSTEM, SealedVault

TYPE: Final = "twinlock-pass+jwt"
ALGORITHM: Final = "EdDSA"
AUDIENCE: Final = "twinlock:"
UNDER: Final = "pass/"
KEEP: Final = 60.0
"""Seconds for which a process uses the keys that it read."""
PAUSE: Final = 1.0
"""Seconds between two reads that forged key ids may cause."""
COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)


class OnlyEdDSA(jws.JWSRegistry):
    """Knows one algorithm, under the name that verifiers know; RFC 9864's is newer than they."""

    def get_alg(self, name: str) -> JWSAlgModel:
        """EdDSA, whatever else the library can do."""
        if name != ALGORITHM:
            raise UnsupportedAlgorithmError(f"{name} is not {ALGORITHM}")
        return EDDSA


EDDSA: Final = EdDSAAlgorithm()
ONLY_EDDSA: Final = OnlyEdDSA(algorithms=[ALGORITHM])


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key pair, and since when (seconds of the epoch) it signs."""

    kid: str
    made_at: float
    pair: OKPKey = field(repr=False)

    @classmethod
    def new(cls, at: datetime) -> "SigningKey":
        """A fresh pair."""
        kid = secrets.token_hex(8)
        return cls(kid, at.timestamp(), OKPKey.generate_key("Ed25519", {"kid": kid}))

    @classmethod
    def parse(cls, plain: bytes) -> "SigningKey":
        """Read what `plain` wrote."""
        stored = json.loads(plain)
        return cls(stored["jwk"]["kid"], stored["made_at"], OKPKey.import_key(stored["jwk"]))

    def plain(self) -> bytes:
        """The bytes to seal."""
        return json.dumps({"made_at": self.made_at, "jwk": self.pair.as_dict(True)}).encode()

    def public(self) -> dict[str, Any]:
        """The public half as a JSON web key (RFC 8037)."""
        return {**self.pair.as_dict(False), "use": "sig", "alg": ALGORITHM}

    def signed(self, claims: dict[str, Any]) -> str:
        """The claims as a compact JWS (RFC 7515 section 7.1); the library reads it back.

        It would write the same, and take as long again for it as the signature takes.
        """
        said = f"{_header(self.kid)}.{_base64url(to_json(claims))}"
        return f"{said}.{_base64url(EDDSA.sign(said.encode(), self.pair))}"


class SignedPasses:
    """Implements `commands.ports.Passes` with one pinned algorithm."""

    def __init__(
        self, database: Database, vault: SealedVault, *, issuer: str, life: timedelta
    ) -> None:
        """Read nothing yet; `life` says how long an older key stays published."""
        self._database = database
        self._vault = vault
        self._issuer = issuer
        self._life = life
        self._reading = threading.Lock()
        self._keys: Mapping[str, SigningKey] = {}
        self._read_at = 0.0

    def prepare(self, connection: Connection[Any]) -> None:
        """Make the first key while the schema is made."""
        if not self._vault.holds(connection, SYSTEM, UNDER):
            key = SigningKey.new(datetime.now(UTC))
            self._vault.put(connection, SYSTEM, UNDER + key.kid, key.plain())

    def sign(self, claims: Pass) -> str:
        """A compact token under the newest key; raises Unavailable where there is none."""
        key = max(self._current().values(), key=lambda each: each.made_at)
        return key.signed(_written(claims, self._issuer))

    def read(self, token: str, at: datetime) -> Pass | None:
        """The claims of a genuine, unexpired pass; None for anything else."""
        if not COMPACT.fullmatch(token):
            return None
        try:
            kid = _kid(token)
            key = self._find(kid) if kid else None
            if key is None or not self._lives(key, at):
                return None
            return self._read(jwt.decode(token, key.pair, registry=ONLY_EDDSA).claims, at)
        except (JoseError, ValueError, KeyError, TypeError, OverflowError):
            return None

    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """The public keys (RFC 7517): the one that signs, and older ones while passes live."""
        newest_first = sorted(self._current().values(), key=lambda key: -key.made_at)
        now = datetime.now(UTC)
        return {"keys": [key.public() for key in newest_first if self._lives(key, now)]}

    def rotate(self, at: datetime) -> str:
        """Sign with a new key from now on, and drop those whose passes have all expired.

        It is the newest, whatever the clock said when an older one was made.
        """
        newest = max(each.made_at for each in self._load().values())
        key = SigningKey.new(max(at, datetime.fromtimestamp(newest + 1, UTC)))
        write = self._vault.seal(SYSTEM, UNDER + key.kid, key.plain())
        self._database.execute(write.sql, write.params)
        for other in self._load().values():
            if not self._lives(other, at):
                drop = self._vault.discard(SYSTEM, UNDER + other.kid)
                self._database.execute(drop.sql, drop.params)
        self._load()
        return key.kid

    def _lives(self, key: SigningKey, at: datetime) -> bool:
        """Whether a pass under the key may still live; whoever has an older one signs no more.

        A process signs with a replaced key until it reads the keys again.
        """
        newer = [each.made_at for each in self._keys.values() if each.made_at > key.made_at]
        last = min(newer, default=at.timestamp()) + KEEP
        return at.timestamp() <= last + self._life.total_seconds()

    def _find(self, kid: str) -> SigningKey | None:
        key = self._current().get(kid)
        if key is None and time.monotonic() - self._read_at > PAUSE:
            key = self._load().get(kid)
        return key

    def _current(self) -> Mapping[str, SigningKey]:
        if self._keys and time.monotonic() - self._read_at < KEEP:
            return self._keys
        return self._load()

    def _load(self) -> Mapping[str, SigningKey]:
        with self._reading:
            items = self._vault.items(SYSTEM, UNDER)
            if not items:
                raise Unavailable("There is no pass key; run: twinlock migrate", retry_after=60)
            keys = [SigningKey.parse(plain) for plain in items.values()]
            self._keys = {key.kid: key for key in keys}
            self._read_at = time.monotonic()
            return self._keys

    def _read(self, claims: Mapping[str, Any], at: datetime) -> Pass | None:
        workspace_id = _text(claims["wid"])
        expires_at = _time(claims["exp"])
        genuine = claims["iss"] == self._issuer and claims["aud"] == AUDIENCE + workspace_id
        if not genuine or expires_at <= at:
            return None
        return Pass(
            member_id=_text(claims["sub"]),
            workspace_id=workspace_id,
            amr=tuple(_text(method) for method in claims["amr"]),
            epoch=_number(claims["epoch"]),
            auth_time=_time(claims["auth_time"]),
            issued_at=_time(claims["iat"]),
            expires_at=expires_at,
            id=_text(claims["jti"]),
        )


def _written(claims: Pass, issuer: str) -> dict[str, Any]:
    return {
        "iss": issuer,
        "aud": AUDIENCE + claims.workspace_id,
        "sub": claims.member_id,
        "wid": claims.workspace_id,
        "amr": list(claims.amr),
        "auth_time": int(claims.auth_time.timestamp()),
        "iat": int(claims.issued_at.timestamp()),
        "exp": int(claims.expires_at.timestamp()),
        "jti": claims.id,
        "epoch": claims.epoch,
    }


@lru_cache
def _header(kid: str) -> str:
    """The same for every pass under a key."""
    return _base64url(to_json({"alg": ALGORITHM, "typ": TYPE, "kid": kid}))


def _base64url(plain: bytes) -> str:
    return base64.urlsafe_b64encode(plain).rstrip(b"=").decode()


def _kid(token: str) -> str | None:
    """The key that the header names, where the header is one of ours; nothing is trusted yet."""
    header = jws.extract_compact(token.encode()).headers()
    if set(header) != {"alg", "typ", "kid"} or header["typ"] != TYPE:
        return None
    return cast(str, header["kid"]) if header["alg"] == ALGORITHM else None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("a claim is no text")
    return value


def _number(value: Any) -> int:
    if type(value) is not int:
        raise TypeError("a claim is no whole number")
    return value


def _time(value: Any) -> datetime:
    return datetime.fromtimestamp(_number(value), UTC)
