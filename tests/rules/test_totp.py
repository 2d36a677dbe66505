"""Codes by time: the vectors of RFC 6238, the window, and texts that only look like a code."""

import base64
from datetime import UTC, datetime, timedelta

import pytest

from domain import totp
from tests.rules.scenario import NOON, SECRET, STEP

RFC_SECRET = base64.b32encode(b"12345678901234567890").decode()


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_the_vectors_of_rfc_6238_appendix_b(seconds: float, code: str) -> None:
    step = totp.step_at(datetime.fromtimestamp(seconds, UTC))
    assert totp.code_for(RFC_SECRET, step) == code


@pytest.mark.parametrize(("seconds", "step"), [(0, 0), (29, 0), (30, 1), (59.9, 1), (60, 2)])
def test_a_step_is_thirty_seconds(seconds: float, step: int) -> None:
    assert totp.step_at(datetime.fromtimestamp(seconds, UTC)) == step


@pytest.mark.parametrize(
    ("window", "offset", "verdict"),
    [
        (0, -1, "wrong"),
        (0, 0, "accepted"),
        (0, 1, "wrong"),
        (1, -2, "wrong"),
        (1, -1, "accepted"),
        (1, 0, "accepted"),
        (1, 1, "accepted"),
        (1, 2, "wrong"),
    ],
)
def test_a_code_holds_within_the_window(window: int, offset: int, verdict: str) -> None:
    code = totp.code_for(SECRET, STEP + offset)
    answer = totp.check(SECRET, code, at=NOON, window=window, last_step=-1)
    assert answer == (verdict, STEP + offset if verdict == "accepted" else -1)


@pytest.mark.parametrize(
    ("last_step", "verdict"),
    [(STEP - 1, "accepted"), (STEP, "used"), (STEP + 1, "used")],
)
def test_a_step_up_to_the_last_one_is_used(last_step: int, verdict: str) -> None:
    code = totp.code_for(SECRET, STEP)
    answer = totp.check(SECRET, code, at=NOON, window=1, last_step=last_step)
    assert answer == (verdict, STEP if verdict == "accepted" else last_step)


def test_a_code_of_the_last_window_does_not_hold_in_the_next_but_one() -> None:
    code = totp.code_for(SECRET, STEP)
    for late, verdict in ((59.9, "accepted"), (60, "wrong")):
        at = NOON + timedelta(seconds=late)
        assert totp.check(SECRET, code, at=at, window=1, last_step=-1)[0] == verdict


FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
RIGHT = totp.code_for(SECRET, STEP)


@pytest.mark.parametrize(
    "entered",
    [
        RIGHT.translate(FULL_WIDTH),
        RIGHT.translate(SUPERSCRIPT),
        RIGHT.translate(ARABIC),
        f" {RIGHT}",
        f"{RIGHT}\n",
        f"{RIGHT[:3]} {RIGHT[3:]}",
        f"+{RIGHT}",
        RIGHT[:5],
        f"{RIGHT}0",
        RIGHT[-1],
        "",
        "\ud800",
    ],
)
def test_only_six_ascii_digits_are_a_code(entered: str) -> None:
    assert totp.check(SECRET, entered, at=NOON, window=1, last_step=-1) == ("wrong", -1)


def test_a_secret_has_160_bits() -> None:
    assert totp.SECRET_BYTES == 20


def test_the_address_to_scan_says_what_authenticators_accept() -> None:
    uri = totp.uri(SECRET, account="m1:a@example.com", issuer="Twin:lock")
    assert uri.startswith("otpauth://totp/Twin%20lock:m1%20a%40example.com?")
    assert f"secret={SECRET}" in uri
    assert "issuer=Twin%20lock" in uri
