"""Events as OpenID CAEP credential changes."""

from typing import Any

import pytest

from domain.facts import FACTS
from workers.caep import EVENT_TYPE, MAPPING, claims


def an_event(name: str, actor: str = "member", **data: Any) -> dict[str, Any]:
    return {
        "id": "17",
        "source": "https://mfa.example",
        "type": f"twinlock.{name}.v1",
        "subject": "member/m1",
        "time": "2026-03-01T10:00:00.000000Z",
        "actorkind": actor,
        "requestid": "r1",
        "data": data,
    }


def test_a_binding_is_a_new_credential() -> None:
    assert claims(an_event("mfa.bound"), audience="https://rp.example") == {
        "iss": "https://mfa.example",
        "aud": "https://rp.example",
        "iat": 1772359200,
        "jti": "https://mfa.example/17",
        "txn": "r1",
        "sub_id": {"format": "opaque", "id": "m1"},
        "events": {
            EVENT_TYPE: {
                "credential_type": "app",
                "change_type": "create",
                "initiating_entity": "user",
                "event_timestamp": 1772359200,
            }
        },
    }


@pytest.mark.parametrize(
    ("event", "credential", "change", "entity"),
    [
        (an_event("mfa.unbound", method="self"), "app", "delete", "user"),
        (an_event("mfa.unbound", "support", method="ticket"), "app", "delete", "admin"),
        (an_event("mfa.erased", "operator"), "app", "delete", "admin"),
        (an_event("mfa.recovery_codes_issued"), "recovery-code", "create", "user"),
        (an_event("mfa.recovery_code_spent"), "recovery-code", "update", "user"),
    ],
)
def test_other_changes_of_credentials(
    event: dict[str, Any], credential: str, change: str, entity: str
) -> None:
    token = claims(event, audience="a")
    assert token is not None
    told = token["events"][EVENT_TYPE]
    assert (told["credential_type"], told["change_type"]) == (credential, change)
    assert told["initiating_entity"] == entity


def test_what_changes_no_credential_is_left_out() -> None:
    assert claims(an_event("mfa.code_accepted"), audience="a") is None


def test_the_mapping_speaks_of_events_that_exist() -> None:
    assert MAPPING.keys() <= {fact.wire_name for fact in FACTS.values()}
