"""The machine's own limit: a bare Flask application under the server that Twinlock runs under."""

import base64
import json
import os
import sys
import time
from collections.abc import Callable
from hmac import compare_digest
from typing import TYPE_CHECKING, Final, LiteralString

import pyotp
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from flask import Flask, request
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels
from joserfc import jwt
from joserfc.jwk import OKPKey
from psycopg_pool import ConnectionPool

from twinlock.adapters.passes import ALGORITHM, ONLY_EDDSA
from twinlock.serve import BACKLOG

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

WORKERS, THREADS = 2, 4
INSERT: Final = "insert into bare_rows (body) values (%s) returning id"
READ: Final = "select body from bare_rows where id = %s"


def create() -> "WSGIApplication":
    """Four views: nothing, one durable insert, one read by primary key, and a code's bare parts."""
    app = Flask("bare")
    pool = ConnectionPool(
        os.environ["TWINLOCK_DATABASE"],
        min_size=1,
        max_size=THREADS,
        open=True,
        kwargs={"autocommit": True},
    )

    @app.get("/empty")
    def empty() -> str:
        return ""

    def asked(query: LiteralString, value: object) -> str:
        with pool.connection() as connection:
            row = connection.execute(query, (value,)).fetchone()
        assert row is not None
        return str(row[0])

    @app.post("/insert")
    def insert() -> dict[str, str]:
        return {"id": asked(INSERT, request.get_data())}

    @app.get("/read/<int:row_id>")
    def read(row_id: int) -> dict[str, str]:
        return {"body": asked(READ, row_id)}

    unseal, sign = _sealed_secret(), OKPKey.generate_key("Ed25519")

    @app.post("/code")
    def code() -> dict[str, str]:
        given = request.get_json()["code"]
        asked(READ, 1)
        totp, step = pyotp.TOTP(unseal()), int(time.time()) // 30
        codes = [totp.generate_otp(step + ahead) for ahead in (-1, 0, 1)]
        found = [compare_digest(each, given) for each in codes]
        header = {"alg": ALGORITHM, "typ": "bare+jwt", "kid": "bare"}
        claims = {"iss": "bare", "sub": "bare", "iat": step, "exp": step, "amr": ["otp"]}
        signed = jwt.encode(header, claims, sign, registry=ONLY_EDDSA)
        return {"id": asked(INSERT, json.dumps(found)), "pass": signed}

    return app.wsgi_app


def _sealed_secret() -> Callable[[], str]:
    """A secret under its key, and that under another; answers what opens the two."""
    outer, key, nonce = AESGCM(os.urandom(32)), os.urandom(32), bytes(12)
    wrapped = outer.encrypt(nonce, key, None)
    sealed = AESGCM(key).encrypt(nonce, base64.b32encode(os.urandom(20)), None)
    return lambda: AESGCM(outer.decrypt(nonce, wrapped, None)).decrypt(nonce, sealed, None).decode()


def main(address: str) -> None:
    """Serve them as `twinlock serve` serves Twinlock."""
    host, _, port = address.rpartition(":")
    Granian(
        "benchmarks.bare:create",
        factory=True,
        address=host,
        port=int(port),
        interface=Interfaces.WSGI,
        workers=WORKERS,
        blocking_threads=THREADS,
        backlog=BACKLOG,
        log_level=LogLevels.warning,
    ).serve()


if __name__ == "__main__":
    main(sys.argv[1])
