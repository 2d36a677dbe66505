"""Requests under an Idempotency-Key: carried out once, and answered again without secrets."""

import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from typing import Any

from flask import Response

from api.backend import Backend, Outcome
from api.limits import caller_address
from api.problems import MEDIA_TYPE
from domain.refusals import Malformed

KEY = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
SECRETS = frozenset(
    {
        "pass",
        "login_token",
        "secret",
        "otpauth_uri",
        "qr_svg",
        "qr_png",
        "recovery_codes",
        "ticket_token",
        "page",
    }
)
PERSONAL = frozenset({"sent_to", "title", "description", "reason"})
"""What people wrote, and where they get their mail: it is in the vault alone, and null here."""


@dataclass(slots=True)
class Repeat:
    """The caller's attempt at a request; `evaluated` once a command was asked."""

    caller: str
    key: str
    attempt: int
    evaluated: bool = False


def caller_name(backend: Backend, token: str | None) -> str:
    """Whom a key belongs to: the bearer of a token, or an address; neither is kept in clear."""
    of = b"token:" + token.encode() if token else b"address:" + caller_address(backend)
    return hmac.new(backend.desk.keys.derived("callers"), of, hashlib.sha256).hexdigest()


def checked(key: str) -> str:
    """The key, if it is one; raises Malformed."""
    if not KEY.fullmatch(key):
        raise Malformed("Idempotency-Key: is 1 to 255 visible ASCII characters.")
    return key


def replayed(outcome: Outcome) -> Response:
    """The first outcome once more, less its secrets and what is personal."""
    empty = outcome.body is None
    response = Response(
        "" if empty else json.dumps(outcome.body),
        status=outcome.status,
        mimetype="application/json" if outcome.status < 400 else MEDIA_TYPE,
    )
    response.headers["Idempotency-Replayed"] = "true"
    if outcome.position is not None:
        response.headers["Twinlock-Position"] = str(outcome.position)
    return response


def settle(backend: Backend, repeat: Repeat, response: Response) -> None:
    """Remember what a command decided; what asks to be tried again is forgotten."""
    passing = response.status_code == 429 or response.status_code >= 500
    if passing or not repeat.evaluated:
        backend.idempotency.abandon(repeat.caller, repeat.key, repeat.attempt)
        return
    position = response.headers.get("Twinlock-Position")
    outcome = Outcome(
        status=response.status_code,
        position=int(position) if position else None,
        body=_without_secrets(response),
    )
    backend.idempotency.finish(repeat.caller, repeat.key, repeat.attempt, outcome)


def _without_secrets(response: Response) -> Any:
    body = response.get_json(silent=True) if response.is_json else None
    if not isinstance(body, dict):
        return None
    if response.status_code >= 400:
        return body
    return {
        name: None if name in PERSONAL else value
        for name, value in body.items()
        if name not in SECRETS
    }
