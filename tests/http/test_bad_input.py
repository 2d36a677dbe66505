"""Input that is not what it should be is malformed, counts nothing and is never echoed."""

import json
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import jsonschema
import pytest

from tests.http.installation import Installation, ticket_body

MARK = "ECHO-7f3a"
DEEP = "[" * 10_000


@pytest.fixture(scope="module")
def code_path(here: Installation) -> tuple[str, str]:
    """Where a code goes, and the token that goes with it."""
    opened = here.login(here.bound(here.workspace()))
    return f"/v1/logins/{opened['login_id']}/code", opened["login_token"]


CODES: tuple[Any, ...] = (
    123456,
    None,
    [],
    {},
    True,
    "",
    "12345",
    "1234567",
    " 123456",
    "123456 ",
    "123456\n",
    "12 3456",
    "１２３４５６",
    "¹²³⁴⁵⁶",
    "١٢٣٤٥٦",
    "12345a",
    "+12345",
    "0x1234",
    ["123456"],
    "1" * 10_000,
    "' or 1=1 --",
)


@pytest.mark.parametrize("code", CODES, ids=repr)
def test_a_code_is_six_ascii_digits_in_a_string(
    here: Installation, code_path: tuple[str, str], code: Any
) -> None:
    for body in ({"code": code}, {"recovery_code": code}):
        refused = here.post(*code_path, body)
        assert refused.told == (422, "malformed")
        assert refused.body["attempts_left"] is None


BODIES = {
    "nothing": b"",
    "no object": b'"text"',
    "a string of json": b'"{\\"code\\": \\"123456\\"}"',
    "a number": b"1",
    "null": b"null",
    "an array": b"[]",
    "cut short": b'{"code": "123456"',
    "a trailing comma": b'{"code": "123456",}',
    "two documents": b'{"code": "123456"}{}',
    "single quotes": b"{'code': '123456'}",
    "a name twice": b'{"code": "123456", "code": "123456"}',
    "a nested name twice": b'{"code": {"a": 1, "a": 1}}',
    "NaN": b'{"code": NaN}',
    "infinity": b'{"code": Infinity}',
    "a comment": b'{"code": "123456" /* x */}',
    "invalid utf-8": b'{"code": "\xff\xfe"}',
    "utf-16": '{"code": "123456"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"code": "123456"}',
    "a lone surrogate": b'{"code": "\\ud800"}',
    "a surrogate in an array": b'{"x": ["\\udfff"]}',
    "NUL": b'{"code": "\\u0000"}',
    "a control character": b'{"code": "a\x01"}',
    "too deep": DEEP.encode(),
    "too deep in objects": b'{"a":' * 40 + b"1" + b"}" * 40,
    "a huge number": b'{"code": ' + b"9" * 10_000 + b"}",
    "a huge exponent": b'{"code": 1e999999}',
    "unknown fields": b'{"code": "123456", "amr": ["mfa"]}',
    "both": b'{"code": "123456", "recovery_code": "AAAA-AAAA-AAAA-AAAA"}',
    "neither": b"{}",
    "a prototype": b'{"__proto__": {}, "code": "123456"}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_is_one_plain_json_object(
    here: Installation, code_path: tuple[str, str], body: bytes
) -> None:
    refused = here.post(*code_path, data=body, content_type="application/json")
    assert refused.told == (422, "malformed")


def test_nothing_of_the_corpus_was_counted(here: Installation, code_path: tuple[str, str]) -> None:
    for code in CODES:
        here.post(*code_path, {"code": code})
        here.post(*code_path, {"recovery_code": code})
    for body in BODIES.values():
        here.post(*code_path, data=body, content_type="application/json")
    refused = here.post(*code_path, {"code": "000000"})
    assert refused.body["attempts_left"] == 4


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "a/b"]
)
def test_a_body_of_another_type_is_not_read(
    here: Installation, code_path: tuple[str, str], kind: str
) -> None:
    refused = here.post(*code_path, data=b'{"code": "123456"}', content_type=kind)
    assert refused.told == (415, "unsupported-media-type")


def test_an_encoded_body_is_not_decoded(here: Installation, code_path: tuple[str, str]) -> None:
    refused = here.post(
        *code_path,
        data=b"\x1f\x8b",
        content_type="application/json",
        headers={"Content-Encoding": "gzip"},
    )
    assert refused.told == (415, "unsupported-media-type")


def test_a_body_of_64_kib_is_read_and_one_byte_more_is_not(
    here: Installation, code_path: tuple[str, str]
) -> None:
    frame = json.dumps({"code": ""})
    full = frame.replace('""', '"' + "x" * (64 * 1024 - len(frame)) + '"').encode()
    assert len(full) == 64 * 1024
    assert here.post(*code_path, data=full, content_type="application/json").status == 422
    more = here.post(*code_path, data=full + b" ", content_type="application/json")
    assert more.told == (413, "too-large")


def test_a_streamed_body_is_cut_off_too(here: Installation, code_path: tuple[str, str]) -> None:
    class Endless(BytesIO):
        """Never ends, and says how much was taken."""

        taken = 0

        def readinto(self, into: Any) -> int:
            self.taken += len(into)
            size = min(len(into), 1000)
            into[:size] = b" " * size
            return size

    path, token = code_path
    stream = Endless()
    refused = here.post(
        path,
        token,
        input_stream=stream,
        content_type="application/json",
        headers={"Transfer-Encoding": "chunked"},
    )
    assert refused.told == (413, "too-large")
    assert stream.taken < 10_000_000


def test_a_streamed_body_within_the_limit_is_read(
    here: Installation, code_path: tuple[str, str]
) -> None:
    refused = here.post(
        *code_path,
        input_stream=BytesIO(b'{"code": 1}'),
        content_type="application/json",
        headers={"Transfer-Encoding": "chunked"},
    )
    assert refused.told == (422, "malformed")


def queries() -> Iterator[tuple[str, str]]:
    """Paths with wrong queries, and who asks."""
    for value in ("0", "501", "-1", "1.0", "abc", "", "１", "1e2", " 1", "99999999999999999999"):
        yield f"/v1/tickets?limit={value}", "support"
        yield f"/v1/audit?limit={value}", "auditor"
        yield f"/v1/events?limit={value}", "analyst"
    for value in ("abc", "a" * 40, "' or 1=1 --", "../..", "", "é" * 30, "_" * 60):
        yield f"/v1/tickets?cursor={value}", "support"
        yield f"/v1/audit?cursor={value}", "auditor"
        yield f"/v1/agents?cursor={value}", "support"
    for name in ("since", "until"):
        for value in (
            "yesterday",
            "2026-01-01",
            "2026-01-01T00:00:00",
            "2026-13-01T00:00:00Z",
            "0",
        ):
            yield f"/v1/audit?{name}={value}", "auditor"
    yield "/v1/audit?since=0001-01-01T00:00:00%2B14:00", "auditor"
    yield "/v1/audit?type=mfa.nothing", "auditor"
    yield "/v1/audit?type='%20or%201=1", "auditor"
    yield "/v1/audit?member_id=a%20b", "auditor"
    yield "/v1/audit?member_id=%00", "auditor"
    yield "/v1/audit?limit=1&limit=2", "auditor"
    yield "/v1/audit?order=position", "auditor"
    yield "/v1/events?after=-1", "analyst"
    yield "/v1/events?types=mfa.bound,", "analyst"
    yield "/v1/events?types=mfa.bound.v1", "analyst"
    yield "/v1/tickets?status=open", "support"
    yield "/v1/tickets?assignee=agent-b", "support"
    yield "/v1/login-checks?workspace_id=w", "host"
    yield "/v1/login-checks?workspace_id=w&member_id=m&at_least=x", "host"


@pytest.mark.parametrize(("path", "role"), list(queries()))
def test_a_query_holds_what_is_known_once_and_in_form(
    here: Installation, path: str, role: str
) -> None:
    assert here.get(path, role).told == (422, "malformed")


PROFILES: tuple[dict[str, Any], ...] = (
    {"email": "no address"},
    {"email": "a@b@c.org"},
    {"email": "a@b.org\r\nBcc: x@y.org"},
    {"email": "a@b.org\n"},
    {"email": "<a@b.org>"},
    {"email": "a" * 250 + "@b.org"},
    {"email": "@b.org"},
    {"email": "a@"},
    {"email": "0@."},
    {"email": "=?utf-8?q?victim=40b.org=2C?=@b.org"},
    {"email": "a\u0000@b.org"},
    {"email": None},
    {"name": ""},
    {"name": "  "},
    {"name": "a\nb"},
    {"name": "a\u202eb"},
    {"name": "x" * 201},
    {"name": ["x"]},
    {"role": "admin"},
    {"role": "Owner"},
    {"locale": "de"},
    {"locale": 1},
    {"verified": True},
)


@pytest.mark.parametrize("wrong", PROFILES, ids=repr)
def test_a_members_profile_is_checked_field_by_field(
    here: Installation, wrong: dict[str, Any]
) -> None:
    body = {"email": "a@b.org", "name": "A", "role": "member", **wrong}
    path = f"/v1/workspaces/{here.tokens.setdefault('w', here.workspace())}/members/m"
    assert here.put(path, "host", body).told == (422, "malformed")


URLS = (
    "//evil.example",
    "/relative",
    "https:/\\evil.example",
    "https://user@evil.example/",
    "https://a.example/#fragment",
    "javascript:alert(1)",
    "data:text/html,x",
    "https://a.example/\r\nSet-Cookie: x",
    "https://a.example/ b",
    "https://ä.example/",
    "https://a.example:99999/",
    "https://a.example:65536/",
    "https://a.example:/",
    "https://a.example\\@evil.example/",
    "https://a.example/^",
    "https://[::1/",
    "https://[:::1]/",
    "https://[1::2::3]/",
    "https://[1:2:3:4:5:6:7:8:9]/",
    "https://[zz]/",
    "https://",
    1,
)
RETURN_URLS = (
    "https://a.example",
    "https://a.example./cb?x=1&y[]=a%20b@c",
    "http://localhost:3000/cb",
    "http://127.0.0.1:0/",
    "http://[::1]:3000/cb",
    "http://[::]/",
    "http://[2001:db8::7]/",
    "http://[1:2:3:4:5:6:7:8]/",
    "http://app_1:3000/cb",
    "https://app.example:65000/cb",
    "https://app.example:65535/cb",
)


@pytest.mark.parametrize("url", [*URLS, *RETURN_URLS], ids=repr)
def test_return_addresses_are_absolute_and_plain(here: Installation, url: Any) -> None:
    put = here.put("/v1/workspaces/w", "host", {"name": "W", "return_urls": [url]})
    assert put.slug == ("" if url in RETURN_URLS else "malformed")
    body = here.get("/openapi.json").body["components"]["schemas"]["WorkspaceBody"]
    fits = jsonschema.Draft202012Validator(body).is_valid({"name": "W", "return_urls": [url]})
    assert fits is (url in RETURN_URLS)


def test_a_return_address_has_to_be_registered_to_the_letter(here: Installation) -> None:
    workspace = here.workspace(return_urls=["https://app.example/back"])
    member = here.member(workspace)
    assert here.login(member, return_url="https://app.example/back")["state"] == "granted"
    for url in ("https://app.example/back/", "https://app.example/back?x", "https://app.example"):
        body = {"workspace_id": workspace, "member_id": member.id, "return_url": url}
        assert here.post("/v1/logins", "host", body).told == (422, "malformed")


@pytest.mark.parametrize("id_", ["a b", "a/b", "é", "x" * 129, "%00", "a%0ab", "a;b"])
def test_ids_are_128_plain_characters_at_most(here: Installation, id_: str) -> None:
    put = here.put(f"/v1/workspaces/{id_}", "host", {"name": "W"})
    assert put.status in (404, 422)
    assert here.get(f"/v1/members/{id_}/mfa", "host").told == (404, "not-found")


TICKETS: tuple[dict[str, Any], ...] = (
    {"type": "other"},
    {"title": ""},
    {"title": "a\r\nb"},
    {"title": "x" * 201},
    {"description": "\u0007"},
    {"description": "x" * 4001},
    {"email_code": "abcdefgh"},
    {"email_code": "ABCDEFGI"},
    {"email_code": "ABCDEFG"},
    {"email_code": 12345678},
    {"challenge_id": None},
    {"email": None},
)


@pytest.mark.parametrize("wrong", TICKETS, ids=repr)
def test_a_ticket_is_checked_field_by_field(here: Installation, wrong: dict[str, Any]) -> None:
    body = {"email": "a@b.org", **ticket_body("c"), **wrong}
    assert here.post("/v1/tickets", None, body).told == (422, "malformed")


def test_a_refusal_says_which_field_is_wrong_and_why(
    here: Installation, code_path: tuple[str, str]
) -> None:
    url = "is no absolute http address without a user and a fragment"
    workspace = {"name": "W", "return_urls": ["https://a.example/", "https://a.example/#x"]}
    profile = {"email": "a@b.org", "name": " ", "role": "member"}
    member = f"/v1/workspaces/{here.workspace()}/members/m"
    path, token = code_path
    said = {
        "type: is no event type like mfa.bound.": here.get("/v1/audit?type=mfa.bond", "auditor"),
        "types: is no event type like mfa.bound.": here.get(
            "/v1/events?types=mfa.bound.v1", "analyst"
        ),
        "since: is no RFC 3339 time with an offset.": here.get("/v1/audit?since=0", "auditor"),
        "until: is out of range.": here.get("/v1/audit?until=2026-13-01T00:00:00Z", "auditor"),
        "limit: is no whole number.": here.get("/v1/audit?limit=x", "auditor"),
        "limit: has the wrong form.": here.get("/v1/audit?limit=501", "auditor"),
        "as_of: is no RFC 3339 time with an offset.": here.get(
            f"{member.partition('/members')[0]}/coverage?as_of=x", "auditor"
        ),
        f"return_urls.1: {url}.": here.put("/v1/workspaces/w", "host", workspace),
        "name: is blank.": here.put(member, "host", profile),
        "email: is no address.": here.put(member, "host", {**profile, "email": "a@b@c.org"}),
        "role: is missing.": here.put(member, "host", {"email": "a@b.org", "name": "A"}),
        "code: has the wrong form.": here.post(path, token, {"code": "1"}),
        "The body: holds either code or recovery_code.": here.post(path, token, {}),
    }
    assert {sentence: answer.body["detail"] for sentence, answer in said.items()} == {
        sentence: sentence for sentence in said
    }


def test_no_refusal_repeats_what_was_sent(here: Installation, code_path: tuple[str, str]) -> None:
    path, token = code_path
    sent = [
        here.post(path, token, {"code": MARK}),
        here.post(path, token, {MARK: 1}),
        here.post(path, token, {"code": [MARK]}),
        here.post(path, token, data=MARK.encode(), content_type="application/json"),
        here.get(f"/v1/audit?{MARK}=1", "auditor"),
        here.get(f"/v1/audit?type={MARK}", "auditor"),
        here.get(f"/v1/audit?cursor={MARK * 3}", "auditor"),
        here.get(f"/v1/audit?since={MARK}", "auditor"),
        here.get("/v1/audit?since=2026-01-01T00:00:00%2B77:36", "auditor"),
        *(
            here.put("/v1/workspaces/w", "host", {"name": "W", "return_urls": [url]})
            for url in (MARK, f"https://[{MARK}]/", f"https://a:{MARK}/", f"https://{MARK}\u2100/")
        ),
        here.get(f"/{MARK}"),
        here.get(f"/v1/members/{MARK}/mfa", "host"),
        here.get("/v1/agents", MARK),
        here.post(path, token, {"code": "1"}, headers={"Idempotency-Key": f"{MARK} é"}),
        here.get("/v1/agents", headers={"X-Request-Id": f"{MARK} "}),
    ]
    for refused in sent:
        assert refused.status >= 400
        assert MARK not in refused.text
        assert "77:36" not in refused.text
        assert "timedelta" not in refused.text
        assert MARK not in str(refused.headers)
