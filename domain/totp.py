"""Time-based one-time passwords (RFC 6238): SHA-1, six digits, 30 seconds, 160-bit secrets."""

import re
from collections.abc import Iterator
from datetime import datetime
from hmac import compare_digest
from typing import Literal

import pyotp

PERIOD = 30
SECRET_BYTES = 20
CODE = re.compile(r"[0-9]{6}", re.ASCII)

Verdict = Literal["accepted", "used", "wrong"]


def step_at(at: datetime) -> int:
    """The 30-second time step that holds the aware time `at` (RFC 6238 section 4.2)."""
    return int(at.timestamp()) // PERIOD


class _Authenticator(pyotp.TOTP):
    """The library's, which decodes the secret once and not again for each step of the window."""

    _key: bytes | None = None

    def byte_secret(self) -> bytes:
        if self._key is None:
            self._key = super().byte_secret()
        return self._key


def code_for(secret: str, step: int) -> str:
    """The six-digit code of the base32 `secret` at time step `step`."""
    return _Authenticator(secret).generate_otp(step)


def check(
    secret: str, code: str, *, at: datetime, window: int, last_step: int
) -> tuple[Verdict, int]:
    """Judge `code` against the steps within `window` of `at`; a step up to `last_step` is used.

    Every step of the window is compared, in constant time, and the first fresh match wins.
    The step is meaningful for `accepted` only.
    """
    matches = list(_matching_steps(secret, code, step_at(at), window))
    fresh = [step for step in matches if step > last_step]
    if fresh:
        return "accepted", fresh[0]
    return ("used" if matches else "wrong"), last_step


def uri(secret: str, *, account: str, issuer: str) -> str:
    """The `otpauth://totp/` address that authenticator apps scan; colons are taken out of names."""
    return pyotp.TOTP(secret).provisioning_uri(
        name=account.replace(":", " "), issuer_name=issuer.replace(":", " ")
    )


def _matching_steps(secret: str, code: str, now: int, window: int) -> Iterator[int]:
    if not CODE.fullmatch(code):
        return
    totp = _Authenticator(secret)
    for step in range(max(0, now - window), now + window + 1):
        if compare_digest(totp.generate_otp(step), code):
            yield step
