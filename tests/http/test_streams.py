"""Events as server-sent events: the same as pages, resumed, bounded in number and in time."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from api.streams import Streams
from commands.dispatch import run
from commands.revoke_token import RevokeToken
from domain.facts import Actor
from tests.http.installation import Installation

pytestmark = pytest.mark.live
ASKS = {"Accept": "text/event-stream"}


class Stream:
    """An open stream, read block by block."""

    def __init__(self, here: Installation, path: str, token: str, **headers: str) -> None:
        bearer = {"Authorization": f"Bearer {here.tokens.get(token, token)}"}
        self.answer = here.app.test_client().get(
            path, headers={**ASKS, **bearer, **headers}, buffered=False
        )

    def blocks(self) -> Iterator[dict[str, str]]:
        for chunk in self.answer.response:
            for block in bytes(chunk).decode().split("\n\n")[:-1]:  # type: ignore[arg-type]
                lines = (line.partition(": ") for line in block.splitlines())
                yield {name: value for name, _, value in lines}

    def events(self) -> Iterator[dict[str, Any]]:
        for block in self.blocks():
            if "data" in block:
                event = json.loads(block["data"])
                assert block["id"] == event["id"]
                yield event

    def close(self) -> None:
        self.answer.close()


@pytest.fixture
def brief(here: Installation) -> Installation:
    """Streams that end at once."""
    return here.with_backend(streams=Streams(seconds=0.5))


def head(here: Installation) -> int:
    return here.twinlock.store.head()


def test_a_stream_carries_what_pages_carry(brief: Installation) -> None:
    brief.bound("staff")
    page = brief.get("/v1/events?limit=500", "analyst").body["events"]
    stream = Stream(brief, "/v1/events", "analyst")
    assert stream.answer.mimetype == "text/event-stream"
    assert stream.answer.headers["Cache-Control"] == "no-store"
    assert list(stream.events()) == page
    stream.close()
    named = Stream(brief, "/v1/events", "analyst", Accept="text/event-stream; charset=utf-8")
    assert named.answer.mimetype == "text/event-stream"
    named.close()


def test_a_stream_goes_on_behind_the_last_event_seen(brief: Installation) -> None:
    end = head(brief)
    for path, headers in (
        (f"/v1/events?after={end - 2}", {}),
        ("/v1/events?after=1", {"Last-Event-ID": str(end - 2)}),
    ):
        stream = Stream(brief, path, "auditor", **headers)
        assert [event["id"] for event in stream.events()] == [str(end - 1), str(end)]
        stream.close()


def test_what_is_appended_comes_at_once_and_only_of_the_types_asked_for(
    here: Installation,
) -> None:
    path = f"/v1/events?after={head(here)}&types=workspace.created,workspace.renamed"
    stream = Stream(here, path, "analyst")
    blocks = stream.events()
    person = here.member("staff")
    here.put("/v1/workspaces/sse", "host", {"name": "One"})
    event = next(blocks)
    assert (event["type"], event["subject"]) == (
        "twinlock.workspace.created.v1",
        "workspace/sse",
    )
    assert person.id
    stream.close()


def test_there_are_few_places_and_they_are_given_back(here: Installation) -> None:
    few = here.with_backend(streams=Streams(most=2))
    open_ones = [Stream(few, "/v1/events", "analyst") for _ in range(2)]
    refused = few.get("/v1/events", "analyst", headers=ASKS)
    assert refused.told == (503, "unavailable")
    assert int(refused.headers["Retry-After"]) >= 1
    assert few.get("/v1/events?limit=1", "analyst").status == 200
    open_ones[0].close()
    again = Stream(few, "/v1/events", "analyst")
    assert again.answer.status_code == 200
    for stream in (again, open_ones[1]):
        stream.close()


def test_a_stream_ends_with_its_time_with_the_server_and_with_its_token(
    here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.streams.BEAT_SECONDS", 0.0)
    streams = Streams()
    long = here.with_backend(streams=streams)
    token = long.token("auditor")
    stream = Stream(long, f"/v1/events?after={head(long)}", token)
    blocks = stream.blocks()
    assert next(blocks) == {"retry": "1000"}
    assert next(blocks)["id"] == str(head(long))
    subject = long.twinlock.credentials.find("api", token).subject  # type: ignore[union-attr]
    context = long.twinlock.context(Actor("operator"), "r")
    run(RevokeToken(token_id=subject), context, long.twinlock.desk)
    assert [block for block in blocks if "data" not in block] == []
    stream.close()
    streams.stopping.set()
    ended = Stream(long, "/v1/events", "auditor")
    assert list(ended.blocks()) == [{"retry": "1000"}]
    ended.close()


def test_a_stream_ends_where_its_workspace_asks_for_more(
    here: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.streams.BEAT_SECONDS", 0.0)
    granted = here.pass_of(here.member("staff", "auditor"))
    stream = Stream(here, f"/v1/events?after={head(here)}", granted)
    blocks = stream.blocks()
    assert next(blocks) == {"retry": "1000"}
    assert next(blocks)["id"] == str(head(here))
    here.enforce("staff")
    assert [block for block in blocks if "data" not in block] == []
    stream.close()
    assert here.put("/v1/workspaces/staff/mfa-policy", "host", {"mode": "off"}).status == 200


def test_a_token_of_a_workspace_streams_its_events_alone(brief: Installation) -> None:
    brief.put("/v1/workspaces/scoped", "host", {"name": "Scoped"})
    stream = Stream(brief, "/v1/events", brief.token("analyst", "scoped"))
    assert {event["workspaceid"] for event in stream.events()} == {"scoped"}
    stream.close()


@pytest.mark.parametrize("place", ["999999999", "x", "-1"])
def test_a_place_that_is_none_is_malformed(here: Installation, place: str) -> None:
    for asked in (
        here.get(f"/v1/events?after={place}", "analyst"),
        here.get(f"/v1/events?after={place}", "analyst", headers=ASKS),
        here.get("/v1/events", "analyst", headers={**ASKS, "Last-Event-ID": place}),
    ):
        assert asked.told == (422, "malformed")
    assert here.get("/v1/events?types=mfa.bond", "analyst").told == (422, "malformed")


def test_who_may_not_read_events_may_not_stream_them(here: Installation) -> None:
    assert here.get("/v1/events", "host", headers=ASKS).told == (403, "forbidden")
    assert here.get("/v1/events", headers=ASKS).told == (401, "unauthenticated")
