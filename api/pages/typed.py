"""What people type and paste: forgiven here, on the page, and never by the API."""

import re
import string
import unicodedata
from typing import Final

from flask import request
from flask_babel import gettext as _
from flask_babel import ngettext

from api.fields import BIDI
from domain.onetime import CROCKFORD

DASHES: Final = re.compile(r"[\s\u200b-\u2015\u202a-\u202e\u2060-\u2069\u2212\u30fc\ufeff_.\-]+")
LOOKALIKES: Final = str.maketrans("OIL", "011")
Read = tuple[str | None, str]
"""What was meant, and an empty text; or None, and what is wrong with it."""


def text(name: str) -> str:
    """A field with plain line ends, without marks that only turn the direction of writing."""
    given = request.form.get(name, "").replace("\r\n", "\n")
    return "".join(each for each in given if each not in BIDI).strip()


def digits(text: str) -> Read:
    """Six digits, out of whatever people paste."""
    empty, odd = _("Enter the code: the field is empty."), _("A code has digits only.")
    return _read(_plain(text), string.digits, 6, empty, odd)


def letters(text: str) -> Read:
    """Eight characters of a mailed ticket code."""
    empty = _("Enter the code from the mail: the field is empty.")
    odd = _("The mailed code has letters and digits only.")
    return _read(_crockford(text), CROCKFORD, 8, empty, odd)


def recovery_code(text: str) -> Read:
    """A recovery code, written as the API wants it."""
    empty = _("Enter a recovery code: the field is empty.")
    odd = _("A recovery code has letters and digits only.")
    code, wrong = _read(_crockford(text), CROCKFORD, 16, empty, odd)
    return ("-".join(code[i : i + 4] for i in range(0, 16, 4)) if code else None), wrong


def _plain(text: str) -> str:
    """Full-width characters made plain (NFKC); spaces and dashes of every kind taken out."""
    return DASHES.sub("", unicodedata.normalize("NFKC", text[:200]))


def _crockford(text: str) -> str:
    return _plain(text).upper().translate(LOOKALIKES)


def _read(plain: str, known: str, length: int, empty: str, odd: str) -> Read:
    """So many of the known characters, or what is said where there are none or others."""
    if not plain:
        return None, empty
    if set(plain) - set(known):
        return None, odd
    if len(plain) == length:
        return plain, ""
    given = ngettext("you entered one", "you entered %(num)s", len(plain))
    if len(plain) < length:
        return None, _(
            "That is too short: %(length)s are needed, %(given)s.", length=length, given=given
        )
    return None, _(
        "That is too long: %(length)s are needed, %(given)s.", length=length, given=given
    )
