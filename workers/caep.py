"""Events as OpenID CAEP 1.0 `credential-change` events, for receivers of shared signals."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from workers.cloud_events import topic_of

EVENT_TYPE = "https://schemas.openid.net/secevent/caep/event-type/credential-change"
APP, RECOVERY = "app", "recovery-code"
"""An authenticator app is one of CAEP's own types; the other is agreed upon with the receiver."""


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of which credential (CAEP 1.0, section 3.3)."""

    credential_type: str
    change_type: str


MAPPING: Mapping[str, Change] = {
    "mfa.bound": Change(APP, "create"),
    "mfa.unbound": Change(APP, "delete"),
    "mfa.erased": Change(APP, "delete"),
    "mfa.recovery_codes_issued": Change(RECOVERY, "create"),
    "mfa.recovery_code_spent": Change(RECOVERY, "update"),
}
INITIATORS = {
    "member": "user",
    "anonymous": "user",
    "system": "system",
    "host": "system",
    "support": "admin",
    "auditor": "admin",
    "operator": "admin",
}


def claims(event: Mapping[str, Any], *, audience: str) -> dict[str, Any] | None:
    """The claims of a security event token (RFC 8417); None for an event that CAEP has no word for.

    `event` is a CloudEvent of ours. The subject is opaque: the host's own member id.
    """
    change = MAPPING.get(topic_of(event).rpartition(".v")[0])
    if change is None:
        return None
    at = int(datetime.fromisoformat(event["time"]).timestamp())
    member = str(event["subject"]).partition("/")[2]
    return {
        "iss": event["source"],
        "aud": audience,
        "iat": at,
        "jti": f"{event['source']}/{event['id']}",
        "txn": event["requestid"],
        "sub_id": {"format": "opaque", "id": member},
        "events": {EVENT_TYPE: _told(event, change, at)},
    }


def _told(event: Mapping[str, Any], change: Change, at: int) -> dict[str, Any]:
    told: dict[str, Any] = {
        "credential_type": change.credential_type,
        "change_type": change.change_type,
        "initiating_entity": INITIATORS.get(event["actorkind"], "system"),
        "event_timestamp": at,
    }
    method = event["data"].get("method")
    if method:
        told["reason_admin"] = {"en": f"Unbound: {method}"}
    return told
