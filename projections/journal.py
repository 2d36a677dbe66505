"""An event as read models meet it: a domain event with its position, subject and plain data."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from domain import api_token, audit_export, member_mfa, unbind_ticket, workspace
from domain.facts import FACTS, Actor, Event, Fact, upcast

KINDS = {
    m.kind: m
    for m in (
        member_mfa.MemberMFA,
        workspace.Workspace,
        unbind_ticket.UnbindTicket,
        api_token.ApiToken,
        audit_export.AuditExport,
    )
}
"""The aggregates whose streams exist, by the first part of a stream's name.

Importing them here is what makes their facts known to whoever reads a log.
"""

EVENTS = "stored_events"
"""The table of the event store."""
COLUMNS = "notification_id, originator_id, originator_version, topic, state"
"""Position, stream, version, topic and state, in that table."""


class UnknownType(Exception):
    """A topic that this release has no fact for."""


class Entry(NamedTuple):
    """One event of the store's total order; `type` is its wire name, without a version."""

    position: int
    type: str
    subject: str
    data: Mapping[str, Any]
    event: Event

    @property
    def stream(self) -> str:
        """The name of the aggregate's stream, `kind/id`."""
        return self.event.stream


class Told(NamedTuple):
    """Less of it, and sooner made: what folding a whole stream needs."""

    position: int
    event: Event


def entry(
    *, position: int, stream: str, version: int, topic: str, state: Mapping[str, Any]
) -> Entry:
    """Make an entry of what the store keeps; raises UnknownType, or ValueError for a bad shape."""
    topic, data = upcast(topic, state["data"])
    fact = FACTS.get(topic)
    if fact is None:
        raise UnknownType(topic)
    event = Event(
        stream,
        version,
        shape(topic).validator.validate_python(data),
        datetime.fromisoformat(state["time"]),
        Actor(**state["actor"]),
        state["request_id"],
        state["workspace_id"],
    )
    return Entry(position, fact.wire_name, state["subject"], data, event)


@cache
def shape(topic: str) -> TypeAdapter[Fact]:
    """The adapter that reads and describes the data of a topic's fact."""
    return TypeAdapter(FACTS[topic])
