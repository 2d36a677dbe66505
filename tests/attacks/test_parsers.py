"""Every parser of bytes that others write: the declared refusal, and no other exception, ever."""

import csv
import io
import json
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from eventsourcing.persistence import MapperDeserialisationError
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from api.callers import bearer_of
from api.csv_lines import csv_lines
from api.cursors import Cursors
from api.fields import Email, GivenTime, Id, Name, Place, Position, Text, Url
from api.limits import keyed_address
from api.pages.local import local_path
from api.repeats import checked
from api.strict_json import MOST_BYTES, parse
from commands.contact import same_address
from domain.notes import BadNote, open_note
from domain.refusals import Malformed, Unauthenticated
from tests.attacks.depth import tries
from tests.http.installation import Installation
from tests.live.test_passes import FORGERS
from twinlock.adapters.keyring import BadKeys, MasterKeys
from twinlock.adapters.mapper import decode
from twinlock.adapters.signing import verified
from workers.cloud_events import Envelope, Forged, serialized
from workers.letters import LETTERS, written

GOLDEN = sorted((Path(__file__).parents[1] / "contracts" / "golden").rglob("*.json"))
KEY = b"k" * 32
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
BYTES = st.binary(max_size=400) | JSON.map(lambda value: json.dumps(value).encode())
LINES = st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1"))
many = tries(60, 20_000)


def refused(call: Callable[[], Any], *declared: type[Exception]) -> Any:
    """The value, or None where it was refused in a declared way."""
    try:
        return call()
    except declared:
        return None


@many
@given(BYTES)
def test_strict_json(body: bytes) -> None:
    found = refused(lambda: parse(body), Malformed)
    assert found is None or isinstance(found, dict)


@pytest.mark.parametrize("unit", [b"[", b'{"a":', b'"\\u0041', b"1", b'"a":1,', b"\\", b" "])
def test_strict_json_costs_little_at_its_longest(unit: bytes) -> None:
    body = b"{" + (unit * MOST_BYTES)[: MOST_BYTES - 1]
    tracemalloc.start()
    refused(lambda: parse(body), Malformed)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 4 * 2**20


@many
@given(LINES, st.text(max_size=5))
def test_cursors(text: str, query: str) -> None:
    cursors = Cursors(KEY)
    assert refused(lambda: cursors.read(text, (query,)), Malformed) is None
    mine = cursors.write(7, (query,))
    assert cursors.read(mine, (query,)) == 7
    assert refused(lambda: cursors.read(mine, (query, "more")), Malformed) is None
    assert refused(lambda: cursors.read(f"{mine[:-2]}{text}", (query,)), Malformed) in (None, 7)


@many
@given(LINES)
def test_bearer_headers_and_idempotency_keys(text: str) -> None:
    token = refused(lambda: bearer_of(text), Unauthenticated)
    assert token is None or token.isascii()
    key = refused(lambda: checked(text), Malformed)
    assert key is None or 0 < len(key) < 256


@many
@given(LINES)
def test_addresses_of_callers(text: str) -> None:
    assert len(keyed_address(KEY, text)) == 32


@many
@given(st.data())
def test_fields(data: st.DataObject) -> None:
    kinds: tuple[Any, ...] = (Id, Name, Text, Url, Email, Position, Place, GivenTime)
    for kind in kinds:
        raw = data.draw(LINES | JSON)
        adapter: TypeAdapter[Any] = TypeAdapter(kind)
        value = refused(partial(adapter.validate_python, raw), ValidationError)
        if kind is Id and value is not None:
            assert str(value).isascii()
            assert 0 < len(value) <= 128
        if isinstance(value, datetime):
            assert value.tzinfo is UTC


ODD_LOCAL = st.text(
    st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=30
)


@many
@given(st.emails() | st.builds("{}@{}".format, ODD_LOCAL, ODD_LOCAL))
def test_mail_addresses_head_no_other_mail(address: str) -> None:
    kept = refused(lambda: TypeAdapter(Email).validate_python(address), ValidationError)
    if kept is None:
        return
    assert same_address(kept, kept)
    message = EmailMessage()
    message["To"] = kept
    assert "\n" not in str(message["To"])
    (only,) = message["To"].addresses
    assert (only.addr_spec == kept) or not kept.isascii()


@many
@given(BYTES)
def test_envelopes_on_the_log(value: bytes) -> None:
    assert refused(lambda: Envelope("https://mfa.example", KEY).unwrap(value), Forged) is None


@many
@given(st.data())
def test_one_changed_byte_of_an_envelope(data: st.DataObject) -> None:
    envelope = Envelope("https://mfa.example", KEY)
    event: dict[str, Any] = {"id": "7", "type": "twinlock.mfa.bound.v1", "subject": "member/m"}
    event |= {"time": "2026-01-01T00:00:00Z", "actorkind": "member", "data": {"step": 1, "a": "é"}}
    event["mac"] = envelope.mac(event)
    whole = bytearray(serialized(event))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    found = refused(lambda: envelope.unwrap(bytes(whole)), Forged)
    assert found is None or found == event


@many
@given(st.data())
def test_stored_events(data: st.DataObject) -> None:
    golden = data.draw(st.sampled_from(GOLDEN))
    state = bytearray(golden.read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(state) - 1))
        state[at] = data.draw(st.integers(0, 255))
    for changed in (bytes(state), data.draw(BYTES)):
        topic = data.draw(st.sampled_from([golden.stem, "mfa.nothing.v1", "", "mfa.bound.v99"]))
        refused(partial(decode, "member/m", 1, topic, changed), MapperDeserialisationError)


@many
@given(LINES)
def test_signed_notes_and_master_keys(text: str) -> None:
    assert refused(lambda: open_note(text, [], verified), BadNote) is None
    refused(lambda: MasterKeys.parse(text), BadKeys)
    assert not verified(text.encode()[:32], b"s" * 64, b"message")


CALCULATED = ("=", "+", "-", "@", "\t", "\r", "\n")
"""How a cell begins that a spreadsheet may calculate (OWASP, CSV Injection)."""
CELLS = LINES | st.builds(
    "{}{}{}".format, st.sampled_from(["", " "]), st.sampled_from(CALCULATED), LINES
)


@many
@given(st.lists(st.lists(CELLS | st.none(), min_size=1, max_size=4), max_size=4))
def test_csv_reads_back_and_calculates_nothing(rows: list[list[str | None]]) -> None:
    text = "".join(csv_lines(["a"], rows))
    read = list(csv.reader(io.StringIO(text, newline="")))[1:]
    assert len(read) == len(rows)
    for cells, written_cells in zip(rows, read, strict=True):
        for cell, shown in zip(cells, written_cells, strict=True):
            assert shown in (cell or "", f"'{cell}")
            assert not shown.lstrip(" ").startswith(CALCULATED)


@many
@given(LINES, st.sampled_from(sorted(LETTERS)), st.sampled_from(["en", "zh", "x"]))
def test_letters_hold_no_markup_of_others(odd: str, name: str, language: str) -> None:
    fields = "name issuer workspace reason until method code ticket link grace"
    letter = written(name, language, dict.fromkeys(fields.split(), f"<b>{odd}<script>"))
    assert not set("\r\n") & set(letter.subject)
    assert "<b>" not in letter.html
    assert "<script" not in letter.html


EVIL = ["//x", "/\\x", "https://x", "/a//b", "/..", "/a/../b", "/%0d%0ax", "javascript:a", "/a@b:c"]


@many
@given(st.sampled_from(EVIL) | LINES)
def test_ways_back_stay_here(asked: str) -> None:
    way = local_path(asked)
    assert way == "/" or (way == asked and way[:2] not in ("//", "/\\") and way[:1] == "/")
    assert not set("\r\n\\@") & set(way)


@pytest.fixture(scope="module")
def proxied(here: Installation) -> Installation:
    """The installation, behind one proxy."""
    return here.with_backend(trusted_proxies=1)


@tries(40, 5_000)
@given(data=st.data())
def test_passes_tokens_and_headers_over_http(proxied: Installation, data: st.DataObject) -> None:
    odd = st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=120)
    names = ("Authorization", "Accept-Language", "X-Forwarded-For", "Idempotency-Key", "Cookie")
    headers = {name: data.draw(odd) for name in (*names, "Accept", "X-Request-Id", "Origin")}
    query = data.draw(st.binary(max_size=80).map(lambda raw: raw.decode("latin-1")))
    for method, path in (("GET", "/v1/audit"), ("POST", "/v1/logins"), ("GET", "/v1/access")):
        answer = proxied.call(method, path, headers=headers, query_string=query)
        assert answer.status < 500
    assert proxied.get("/tickets/x/cancel", headers=headers, query_string=query).status < 500


def test_forged_passes_are_tried_elsewhere() -> None:
    assert len(FORGERS) >= 8
