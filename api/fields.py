"""The kinds of values that requests and answers are made of, with their limits."""

import re
import unicodedata
from datetime import datetime
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic.config import JsonDict

from domain.facts import wire_names
from domain.onetime import BIND, EMAIL_CODE, RECOVERY_CODE, TICKET
from domain.times import moment, rfc3339
from domain.totp import CODE as TOTP_CODE

ID = re.compile(r"[A-Za-z0-9._~-]{1,128}", re.ASCII)
DIGITS = re.compile(r"[0-9]{1,18}", re.ASCII)
MOST = 10**18 - 1
BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that make text read differently from how it is written."""
ATOM = r"[^\s@<>()\[\],;:\\\".]+"
ADDRESS = re.compile(rf"{ATOM}(?:\.{ATOM})*@{ATOM}(?:\.{ATOM})*")
# The document shows the pattern, so no more is accepted than it says, and no less.
PORT = "[0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
HEX = "[0-9A-Fa-f]{1,4}"
IPV6 = "|".join(
    [
        f"{HEX}(:{HEX}){{7}}",
        *(f"({HEX}(:{HEX}){{0,{n}}})?::({HEX}(:{HEX}){{0,{5 - n}}})?" for n in range(6)),
    ]
)
HTTP = re.compile(
    rf"https?://(\[({IPV6})\]|[A-Za-z0-9._-]*[A-Za-z0-9]\.?)(:({PORT}))?([/?][!$-;=?-Z\[\]_a-z~]*)?"
)


class Strict(BaseModel):
    """What a request may hold: exact types, and nothing else."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class Shape(BaseModel):
    """What an answer holds."""

    model_config = ConfigDict(populate_by_name=True, frozen=True, hide_input_in_errors=True)


def _plain(text: str, allowed: str = "") -> str:
    for character in text:
        hidden = unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        if (hidden and character not in allowed) or character in BIDI:
            raise ValueError("holds a character that is not accepted")
    if not text.strip():
        raise ValueError("is blank")
    return text


def _lines(text: str) -> str:
    return _plain(text.replace("\r\n", "\n").replace("\r", "\n"), "\n\t")


def _email(text: str) -> str:
    if not ADDRESS.fullmatch(_plain(text)) or "=?" in text:
        raise ValueError("is no address")
    return text


def _url(text: str) -> str:
    if not HTTP.fullmatch(text):
        raise ValueError("is no absolute http address without a user and a fragment")
    return text


def _time(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("is no RFC 3339 time with an offset")
    return moment(value)


def _count(value: object) -> object:
    """Numbers in a query come as text."""
    if not isinstance(value, str) or not DIGITS.fullmatch(value):
        raise ValueError("is no whole number")
    return int(value)


def _place(value: object) -> object:
    """A position in digits, or a time."""
    digits = isinstance(value, str) and DIGITS.fullmatch(value)
    return _count(value) if digits else _time(value)


def _wire_name(text: str) -> str:
    if text not in wire_names():
        raise ValueError("is no event type like mfa.bound")
    return text


def _wire_names(text: str) -> str:
    for name in text.split(","):
        _wire_name(name)
    return text


def _whole(pattern: re.Pattern[str]) -> str:
    return f"^{pattern.pattern}$"


def _text_of(characters: str) -> JsonDict:
    return {"pattern": rf"^[{characters}]*[^\s{characters.removeprefix('^')}][{characters}]*$"}


ODD = r"\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"
"""What `_plain` refuses, for the document."""
ON_ONE_LINE = _text_of(f"^{ODD}")
ON_LINES = _text_of("^" + ODD.replace(r"\x1f", r"\x08\x0b\x0c\x0e-\x1f"))
PART = rf"[^\s@<>()\[\],;:\\\".{ODD}]+"
MAILBOX: JsonDict = {"pattern": rf"^(?!.*=\?){PART}(\.{PART})*@{PART}(\.{PART})*$"}
TIME_SCHEMA = WithJsonSchema({"type": "string", "format": "date-time"})
Id = Annotated[str, Field(pattern=_whole(ID))]
Name = Annotated[
    str, Field(min_length=1, max_length=200, json_schema_extra=ON_ONE_LINE), AfterValidator(_plain)
]
Title = Name
Text = Annotated[
    str, Field(min_length=1, max_length=4000, json_schema_extra=ON_LINES), AfterValidator(_lines)
]
HostState = Annotated[
    str, Field(min_length=1, max_length=1000, json_schema_extra=ON_ONE_LINE), AfterValidator(_plain)
]
Email = Annotated[
    str, Field(min_length=3, max_length=254, json_schema_extra=MAILBOX), AfterValidator(_email)
]
Url = Annotated[
    str,
    Field(min_length=8, max_length=2000, json_schema_extra={"pattern": _whole(HTTP)}),
    AfterValidator(_url),
]
Code = Annotated[str, Field(pattern=_whole(TOTP_CODE))]
RecoveryCode = Annotated[str, Field(pattern=_whole(RECOVERY_CODE))]
BindCode = Annotated[str, Field(pattern=_whole(EMAIL_CODE[BIND]))]
TicketCode = Annotated[str, Field(pattern=_whole(EMAIL_CODE[TICKET]))]
OneTimeToken = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{16,256}$")]
GivenTime = Annotated[datetime, BeforeValidator(_time), TIME_SCHEMA]
WireName = Annotated[str, Field(max_length=100), AfterValidator(_wire_name)]
WireNames = Annotated[str, Field(max_length=2000), AfterValidator(_wire_names)]
Position = Annotated[
    int, BeforeValidator(_count), WithJsonSchema({"type": "integer", "minimum": 0, "maximum": MOST})
]
Place = Annotated[
    int | datetime,
    BeforeValidator(_place),
    WithJsonSchema(
        {"oneOf": [{"type": "integer", "minimum": 0, "maximum": MOST}, TIME_SCHEMA.json_schema]}
    ),
]
Limit = Annotated[
    int,
    BeforeValidator(_count),
    Field(ge=1, le=500),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 500, "default": 50}),
]
Cursor = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{20,600}$")]
Time = Annotated[datetime, PlainSerializer(rfc3339, return_type=str), TIME_SCHEMA]
