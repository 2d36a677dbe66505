"""What is stored is parsed fast where that parser takes it, and read the same by the slow one."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import stored
from domain.stored import Unreadable

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
TRAPS = [
    *(b"NaN", b"-Infinity", b"1e999", b"-0", b"-0.0", b"01", b"1.", b".5", b"1e5", b"5e-324"),
    *(b"9" * 4300, b"9" * 4301, b"1." + b"1" * 400, b"[" * 300 + b"]" * 300, b"[" * 100_000),
    *(b'"\\ud800"', b'"\\udc00\\ud800"', b'"\\ud83d\\ude00"', b'"\xed\xa0\x80"', b'"\xff"'),
    *(b'"\x01"', b'"\x7f"', b'"\\x"', b'"\\u0000"', b"[1,]", b'{"a":1,}', b'{"a":1,"a":2}'),
    *(
        b"",
        b" ",
        b"\xef\xbb\xbf1",
        b"\x0c1",
        b"1\xc2\xa0",
        b" 1\n",
        b"1 2",
        b"1\x00",
        b"\xfe\xff\x001",
    ),
]


def shown(read: Any, state: bytes) -> str:
    try:
        return repr(read(state))
    except Unreadable:
        return "unreadable"


@pytest.mark.parametrize("state", TRAPS, ids=lambda state: repr(state[:20]))
def test_both_parsers_say_the_same_of_a_trap(state: bytes) -> None:
    assert shown(stored._json, state) == shown(stored._slowly, state)
    inside = b'{"a": [' + state + b"]}"
    assert shown(stored._json, inside) == shown(stored._slowly, inside)


@given(JSON)
def test_both_parsers_say_the_same_of_json(value: Any) -> None:
    for plain in (True, False):
        state = json.dumps(value, ensure_ascii=plain).encode("utf-8", "surrogatepass")
        assert shown(stored._json, state) == shown(stored._slowly, state)


@given(JSON, st.data())
def test_both_parsers_say_the_same_of_what_is_nearly_json(value: Any, data: st.DataObject) -> None:
    state = bytearray(json.dumps(value).encode())
    begin = data.draw(st.integers(0, len(state)))
    state[begin : begin + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    assert shown(stored._json, bytes(state)) == shown(stored._slowly, bytes(state))
