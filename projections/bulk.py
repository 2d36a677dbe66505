"""The fast way to fill an empty read model: its final rows, made of whole streams, for COPY."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from domain.unbind_ticket import TicketSubmitted
from projections import audit_trail, standing, tickets
from projections.folding import A, Folding
from projections.journal import Entry, Told

Rows = Iterator[tuple[str, Sequence[Any]]]
"""Tables, each with a row in the order of its columns."""
Failed = Callable[[int, Exception], None]
"""Told of the position of an event that cannot be applied: left out, as a projector parks it."""


@dataclass(frozen=True, slots=True)
class Loader:
    """How a model is filled: out of entries by position, or out of streams of some kinds.

    Then one whole stream comes after another, and its events are Told.
    """

    kinds: tuple[str, ...]
    rows: Callable[[Iterable[Any], Failed], Rows]

    @property
    def by_stream(self) -> bool:
        """Whether kinds of streams are named."""
        return bool(self.kinds)


def _standing(events: Iterable[Told], failed: Failed) -> Rows:
    for stream, told in groupby(events, key=_stream):
        kind, _, id_ = stream.partition("/")
        if kind == "workspace":
            place, position = _fold(standing.WORKSPACES, id_, told, failed)
            if position:
                yield "standing_workspaces_v1", standing.workspace_row(place, position)
            continue
        member, position = _fold(standing.MEMBERS, id_, told, failed)
        if position:
            yield "standing_members_v1", standing.member_row(member, position)
        for workspace_id, role in member.roles.items():
            yield "standing_memberships_v1", (workspace_id, id_, role)


def _tickets(events: Iterable[Told], failed: Failed) -> Rows:
    for stream, told in groupby(events, key=_stream):
        whole = list(told)
        ticket, position = _fold(tickets.TICKETS, stream.partition("/")[2], whole, failed)
        if position:
            filed = (e.position for e in whole if isinstance(e.event.fact, TicketSubmitted))
            row = tickets.ticket_row(ticket, position, next(filed, position))
            yield "tickets_v1", row


def _audit_trail(entries: Iterable[Entry], failed: Failed) -> Rows:
    members: dict[str, str] = {}
    for each in entries:
        try:
            if each.type == "ticket.submitted":
                members[each.subject.partition("/")[2]] = each.data["member_id"]
            row = audit_trail.row(each, members)
        except Exception as error:  # whatever is wrong with one event stops no other
            failed(each.position, error)
        else:
            yield "audit_trail_v1", row


def _fold(folding: Folding[A], id_: str, told: Iterable[Told], failed: Failed) -> tuple[A, int]:
    """A stream's state and its newest event's position; what comes after a gap is left out."""
    state, last = folding.blank(id_), 0
    advance = folding.advance or folding.evolve
    for position, event in told:
        if event.version != state.version + 1:
            continue
        try:
            state, last = advance(state, event), position
        except Exception as error:  # the same as above
            failed(position, error)
    return state, last


def _stream(one: Told) -> str:
    return one.event.stream


LOADERS: Mapping[str, Loader] = {
    standing.KEY: Loader(("member", "workspace"), _standing),
    tickets.KEY: Loader(("ticket",), _tickets),
    audit_trail.KEY: Loader((), _audit_trail),
}
"""By the model's key; a model without one is filled the way projectors do it."""
