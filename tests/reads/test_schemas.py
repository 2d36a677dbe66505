"""The published schemas stay as they were published, and every event keeps to its own."""

import json
from pathlib import Path

import jsonschema
import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from domain.member_mfa import MemberMFA
from tests.flow.histories import a_workspace, append, bound
from tests.support.built import twinlock
from twinlock.composition import Twinlock
from workers.cloud_events import Envelope, Forged, headers, serialized, topic_of
from workers.schemas import data_schema, event_schema, topics

__all__ = ["twinlock"]
PUBLISHED = Path(__file__).parents[1] / "contracts" / "schemas"


def test_every_type_has_a_published_schema() -> None:
    assert topics() == sorted(path.stem for path in PUBLISHED.glob("*.json"))


@pytest.mark.parametrize("topic", topics())
def test_a_shape_never_changes_within_a_version(topic: str) -> None:
    """A change of shape is a new version: add its schema beside this one."""
    published = json.loads((PUBLISHED / f"{topic}.json").read_text())
    assert {**data_schema(topic), "description": ""} == {**published, "description": ""}


@pytest.mark.live
def test_events_are_cloud_events_of_their_schema(twinlock: Twinlock) -> None:
    a_workspace(twinlock, ["m1", "m2"])
    append(twinlock, MemberMFA, "m2", bound())
    envelope = Envelope("http://127.0.0.1:8080", b"k" * 32)
    for record in twinlock.store.events(0, 100):
        event = envelope.wrap(record)
        jsonschema.validate(event, event_schema(record.topic))
        read = JSONFormat().read(CloudEvent, serialized(event))
        assert read.get_id() == str(record.position)
        assert read.get_type() == f"twinlock.{record.topic}"
        assert read.get_extension("mac") == headers(event)["mac"]
        assert topic_of(event) == record.topic
        assert envelope.unwrap(serialized(event)) == event


@pytest.mark.live
@pytest.mark.parametrize("field", ["id", "type", "subject", "data", "time", "actorid", "mac"])
def test_a_changed_field_breaks_the_mac(twinlock: Twinlock, field: str) -> None:
    a_workspace(twinlock, ["m1"])
    envelope = Envelope("http://127.0.0.1:8080", b"k" * 32)
    event = envelope.wrap(twinlock.store.events(0, 1)[0])
    event[field] = {"other": 1} if field == "data" else "2"
    with pytest.raises(Forged):
        envelope.unwrap(serialized(event))
