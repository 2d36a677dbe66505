"""Proofs and exports over HTTP, verified by a second implementation of RFC 9162."""

import base64
import csv
import io
import json
import secrets
from collections.abc import Iterator

import pytest

from api.pages.browsers import MEMBER, member_session
from api.streams import Places
from commands.dispatch import run
from commands.revoke_token import RevokeToken
from domain.facts import Actor
from domain.leaves import Content, leaf_bytes
from domain.notes import Checkpoint, Key, open_note
from domain.refusals import Unauthenticated
from tests.http.installation import Installation, Reply, installed
from tests.support.notarised import history, notarise
from tests.support.parts import fresh_database
from tests.support.rfc9162 import mth, root_from_path, roots_from_proof
from twinlock.adapters.signing import verified

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def signed(here: Installation) -> list[Checkpoint]:
    """Two checkpoints."""
    history(here.twinlock, 300)
    old = notarise(here.twinlock)
    history(here.twinlock, 100, name="more")
    return [old, notarise(here.twinlock)]


@pytest.fixture
def unsigned(postgres_server: str) -> Iterator[Installation]:
    with fresh_database(postgres_server) as uri, installed(uri) as made:
        yield made


def raw(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def ask(here: Installation, what: str, **query: object) -> Reply:
    return here.get(f"/v1/audit/{what}", "auditor", query_string=query)


def leaves(here: Installation, size: int) -> list[bytes]:
    records = here.twinlock.store.events(0, size)
    return [leaf_bytes(r.position, Content(r.stream, r.version, r.topic, r.state)) for r in records]


def test_the_checkpoint_opens_with_the_published_key(
    here: Installation, signed: list[Checkpoint]
) -> None:
    published = here.get("/.well-known/twinlock-notary-keys")
    assert published.headers["Content-Type"].startswith("text/plain")
    keys = [Key.parse(line) for line in published.text.splitlines()]
    note = ask(here, "checkpoint")
    assert note.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert Checkpoint.parse(open_note(note.text, keys, verified)) == signed[-1]
    assert keys[0].name == "mfa.example/audit"


@pytest.mark.parametrize("place", [0, 1, 254, 255, 256, 299])
def test_inclusion_is_proven(here: Installation, signed: list[Checkpoint], place: int) -> None:
    position = here.twinlock.store.events(0, 500)[place].position
    for checkpoint in signed:
        proof = ask(here, "proofs/inclusion", position=position, size=checkpoint.size).body
        leaf = mth([leaves(here, place + 1)[-1]])
        assert (raw(proof["leaf"]), proof["number"], proof["size"]) == (
            leaf,
            place,
            checkpoint.size,
        )
        path = [raw(each) for each in proof["path"]]
        assert root_from_path(leaf, place, checkpoint.size, path) == checkpoint.root
        assert raw(proof["root"]) == checkpoint.root == mth(leaves(here, checkpoint.size))
    newest = ask(here, "proofs/inclusion", position=position).body
    assert (newest["size"], raw(newest["root"])) == (signed[-1].size, signed[-1].root)


def test_consistency_is_proven(here: Installation, signed: list[Checkpoint]) -> None:
    old, new = signed
    proof = ask(here, "proofs/consistency", **{"from": old.size, "to": new.size}).body
    path = [raw(each) for each in proof["path"]]
    assert (proof["from"], proof["to"]) == (old.size, new.size)
    assert (raw(proof["from_root"]), raw(proof["to_root"])) == (old.root, new.root)
    assert roots_from_proof(old.size, new.size, old.root, path) == (old.root, new.root)
    same = ask(here, "proofs/consistency", **{"from": new.size}).body
    assert (same["path"], same["from_root"]) == ([], same["to_root"])


@pytest.mark.parametrize(
    ("what", "query", "told"),
    [
        ("inclusion", {"position": 10**9}, (404, "not-found")),
        ("inclusion", {"position": 0}, (404, "not-found")),
        ("inclusion", {"position": 1, "size": 10**9}, (422, "malformed")),
        ("inclusion", {"position": 1, "size": 0}, (422, "malformed")),
        ("inclusion", {"position": "x"}, (422, "malformed")),
        ("inclusion", {}, (422, "malformed")),
        ("inclusion", {"position": 1, "other": 1}, (422, "malformed")),
        ("consistency", {"from": 0}, (422, "malformed")),
        ("consistency", {"from": 9, "to": 8}, (422, "malformed")),
        ("consistency", {"to": 8}, (422, "malformed")),
        ("consistency", {"from": 1, "to": 10**9}, (422, "malformed")),
        ("consistency", {"from_": 1}, (422, "malformed")),
    ],
)
def test_what_cannot_be_proven_is_refused(
    here: Installation,
    signed: list[Checkpoint],
    what: str,
    query: dict[str, object],
    told: tuple[int, str],
) -> None:
    assert ask(here, f"proofs/{what}", **query).told == told


def test_nothing_is_proven_before_anything_is_signed(unsigned: Installation) -> None:
    for what in ("checkpoint", "proofs/inclusion?position=1", "proofs/consistency?from=1"):
        assert unsigned.get(f"/v1/audit/{what}", "auditor").told == (404, "not-found")


def stream(here: Installation, accept: str, path: str = "/v1/audit", who: str = "auditor") -> Reply:
    at = here.twinlock.store.head()
    mark = "&" if "?" in path else "?"
    return here.get(f"{path}{mark}at_least={at}", who, headers={"Accept": accept})


@pytest.fixture(scope="module")
def workspace(here: Installation) -> str:
    made = here.workspace(name="=cmd()")
    here.enforce(made)
    return made


def test_ndjson_holds_what_the_pages_hold(here: Installation, workspace: str) -> None:
    path = f"/v1/audit?workspace_id={workspace}"
    reply = stream(here, "application/x-ndjson", path)
    assert reply.headers["Content-Type"] == "application/x-ndjson"
    lines = [json.loads(line) for line in reply.text.splitlines()]
    page = here.get(path, "auditor").body["items"]
    assert lines == page
    manifest = json.loads(reply.headers["Twinlock-Manifest"])
    assert manifest["filter"] == {"workspace_id": workspace}
    assert (manifest["count"], manifest["first"], manifest["last"]) == (
        len(lines),
        lines[0]["position"],
        lines[-1]["position"],
    )


def test_csv_is_safe_to_open(here: Installation, workspace: str) -> None:
    here.put(f"/v1/workspaces/{workspace}", "host", {"name": "x"}, headers={"X-Request-Id": "-1.2"})
    reply = stream(here, "text/csv", f"/v1/audit?workspace_id={workspace}")
    assert reply.headers["Content-Type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(reply.text)))
    assert {row["type"] for row in rows} >= {"workspace.created", "workspace.policy_enforced"}
    assert rows[-1]["request_id"] == "'-1.2"
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())


def test_an_export_is_an_event_of_its_caller(here: Installation, workspace: str) -> None:
    reply = stream(here, "text/csv", f"/v1/audit?workspace_id={workspace}&type=workspace.created")
    record = here.twinlock.store.events(int(reply.headers["Twinlock-Position"]) - 1, 1)[0]
    state = json.loads(record.state)
    assert record.topic == "audit.exported.v1"
    assert state["actor"]["kind"] == "auditor"
    assert state["data"]["filter"] == ["type=workspace.created", f"workspace_id={workspace}"]
    assert (state["data"]["count"], state["data"]["format"]) == (1, "csv")
    assert state["subject"].startswith("audit/")


def test_a_stream_goes_on_to_the_end_or_to_its_limit(
    here: Installation, signed: list[Checkpoint]
) -> None:
    everything = stream(here, "application/x-ndjson").text.splitlines()
    assert len(everything) >= signed[-1].size
    positions = [json.loads(line)["position"] for line in everything]
    assert positions == sorted(set(positions))
    some = stream(here, "application/x-ndjson", "/v1/audit?limit=7")
    assert some.text.splitlines() == everything[:7]
    assert json.loads(some.headers["Twinlock-Manifest"])["last"] == positions[6]


def test_an_export_breaks_off_where_its_token_is_revoked(
    here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.streams.BEAT_SECONDS", 0.0)
    token = here.token("auditor")
    headers = {"Accept": "application/x-ndjson", "Authorization": f"Bearer {token}"}
    answer = here.app.test_client().get("/v1/audit", headers=headers, buffered=False)
    chunks = answer.iter_encoded()
    assert json.loads(next(chunks))["position"] == 1
    found = here.twinlock.credentials.find("api", token)
    assert found is not None
    context = here.twinlock.context(Actor("operator"), "r")
    run(RevokeToken(token_id=found.subject), context, here.twinlock.desk)
    with pytest.raises(Unauthenticated):
        list(chunks)
    answer.close()


def test_an_export_breaks_off_where_its_owner_is_none_any_more(
    here: Installation, workspace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.streams.BEAT_SECONDS", 0.0)
    owner = here.member(workspace, "owner")
    token = here.token("owner", workspace, owner.id)
    headers = {"Accept": "application/x-ndjson", "Authorization": f"Bearer {token}"}
    answer = here.app.test_client().get("/v1/audit", headers=headers, buffered=False)
    chunks = answer.iter_encoded()
    assert json.loads(next(chunks))["workspace_id"] == workspace
    here.join(owner, workspace, "member")
    assert stream(here, "application/x-ndjson", who=token).told == (403, "forbidden")
    with pytest.raises(Unauthenticated):
        list(chunks)
    answer.close()


def test_slow_readers_of_exports_hold_few_threads(here: Installation) -> None:
    few = here.with_backend(exports=Places(most=2))
    asks = {"Accept": "text/csv", "Authorization": f"Bearer {here.tokens['auditor']}"}
    slow = [few.app.test_client().get("/v1/audit", headers=asks) for _ in range(2)]
    assert [answer.status_code for answer in slow] == [200, 200]
    before = here.twinlock.store.head()
    refused = stream(few, "text/csv")
    assert refused.told == (503, "unavailable")
    assert int(refused.headers["Retry-After"]) >= 1
    assert here.twinlock.store.head() == before
    assert few.get("/v1/audit", "auditor").status == 200
    slow[0].close()
    assert stream(few, "text/csv", "/v1/audit?cursor=" + "A" * 24).told == (422, "malformed")
    assert stream(few, "text/csv").status == 200
    assert stream(few, "application/x-ndjson").status == 200
    slow[1].close()


def test_pages_have_the_same_few_places(here: Installation) -> None:
    few = here.with_backend(exports=Places(most=1))
    owner = here.bound(here.workspace(), "owner")
    token, claims = secrets.token_hex(16), here.twinlock.passes.read(owner.granted, here.clock())
    assert claims is not None
    with few.app.test_request_context():
        here.backend.sessions.open(member_session(claims, here.clock()), token)
    asks = {"Cookie": f"{MEMBER}={token}"}
    slow = few.app.test_client(use_cookies=False).get("/coverage.csv", headers=asks)
    assert slow.status_code == 200
    assert few.get("/coverage.csv", headers=asks).status == 503
    assert stream(few, "text/csv").told == (503, "unavailable")
    assert few.get("/coverage", headers=asks).status == 200
    slow.close()
    for _ in range(2):
        assert few.get("/coverage.csv", headers=asks).status == 200


def test_a_page_of_json_is_no_export(here: Installation) -> None:
    before = here.twinlock.store.head()
    for accept in ("application/json", "*/*", "text/html", ""):
        assert here.get("/v1/audit", "auditor", headers={"Accept": accept}).body["items"]
    assert here.twinlock.store.head() == before


def test_a_head_request_takes_nothing_out(here: Installation) -> None:
    before = here.twinlock.store.head()
    assert here.call("HEAD", "/v1/audit", "auditor", headers={"Accept": "text/csv"}).status == 200
    assert here.twinlock.store.head() == before


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/csv; charset=utf-8", "text/csv; charset=utf-8"),
        ("text/csv;header=present;q=0.9, application/json;q=0.8", "text/csv; charset=utf-8"),
        ("application/x-ndjson; charset=utf-8", "application/x-ndjson"),
        ("text/csv;q=0.5, application/json; charset=utf-8", "application/json"),
    ],
)
def test_parameters_of_a_kind_do_not_change_the_kind(
    here: Installation, accept: str, kind: str
) -> None:
    headers = stream(here, accept, "/v1/audit?limit=1").headers
    assert headers["Content-Type"] == kind


def test_an_owner_takes_out_its_own_workspace_alone(here: Installation, workspace: str) -> None:
    owner = here.bound(workspace, "owner")
    reply = stream(here, "application/x-ndjson", who=owner.granted)
    rows = [json.loads(line) for line in reply.text.splitlines()]
    assert {row["workspace_id"] for row in rows} == {workspace}
    other = here.workspace()
    refused = stream(here, "text/csv", f"/v1/audit?workspace_id={other}", owner.granted)
    assert refused.told == (404, "not-found")
