"""The events' documents are served, agree with the events, and are shown on a page."""

import jsonschema
import pytest

from tests.http.installation import Installation
from workers.schemas import topics

pytestmark = pytest.mark.live


def test_the_schema_that_an_event_names_is_served_and_fits(here: Installation) -> None:
    here.bound("staff")
    events = here.get("/v1/events?limit=500", "analyst").body["events"]
    assert events
    for event in events:
        path = event["dataschema"].removeprefix("https://mfa.example")
        schema = here.get(path)
        assert schema.headers["Content-Type"] == "application/schema+json"
        assert schema.body["$id"] == event["dataschema"]
        jsonschema.validate(event["data"], schema.body)


def test_an_unknown_type_and_a_future_version_have_no_schema(here: Installation) -> None:
    for name in ("mfa.bond.v1", "mfa.bound.v9", "mfa.bond"):
        assert here.get(f"/v1/schemas/{name}").told == (404, "not-found")


def test_the_asyncapi_document_is_served(here: Installation) -> None:
    told = here.get("/asyncapi.json").body
    assert told["asyncapi"] == "3.0.0"
    assert told["channels"]["events"]["address"] == "twinlock.events"


def test_the_page_tells_of_every_type_without_a_script(here: Installation) -> None:
    page = here.get("/docs/events")
    assert page.status == 200
    assert "script" not in page.text
    assert "script-src" not in page.headers["Content-Security-Policy"]
    for name in topics():
        assert f"<code>twinlock.{name}</code>" in page.text
    assert here.get("/docs/events.css").status == 200
