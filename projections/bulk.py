"""The fast way to fill an empty read model: its final rows, made of whole streams, for COPY."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from projections import audit_trail, standing, tickets
from projections.folding import A, Folding
from projections.journal import Entry

Rows = Iterator[tuple[str, Sequence[Any]]]
"""Tables, each with a row in the order of its columns."""
Failed = Callable[[Entry, Exception], None]
"""Told of an event that the model cannot apply; it is left out, as a projector parks it."""


@dataclass(frozen=True, slots=True)
class Loader:
    """How a model is filled: from which kinds of streams (none named: all), and in what order.

    `by_stream` hands over one stream after the other, otherwise events come by position.
    """

    kinds: tuple[str, ...]
    by_stream: bool
    rows: Callable[[Iterable[Entry], Failed], Rows]


def _standing(entries: Iterable[Entry], failed: Failed) -> Rows:
    for stream, told in groupby(entries, key=lambda each: each.stream):
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


def _tickets(entries: Iterable[Entry], failed: Failed) -> Rows:
    for stream, told in groupby(entries, key=lambda each: each.stream):
        whole = list(told)
        ticket, position = _fold(tickets.TICKETS, stream.partition("/")[2], whole, failed)
        if position:
            filed = (e.position for e in whole if e.type == "ticket.submitted")
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
            failed(each, error)
        else:
            yield "audit_trail_v1", row


def _fold(folding: Folding[A], id_: str, entries: Iterable[Entry], failed: Failed) -> tuple[A, int]:
    """A stream's state and its newest event's position; what comes after a gap is left out."""
    state, position = folding.blank(id_), 0
    for each in entries:
        if each.event.version != state.version + 1:
            continue
        try:
            state = folding.evolve(state, each.event)
            position = each.position
        except Exception as error:  # the same as above
            failed(each, error)
    return state, position


LOADERS: Mapping[str, Loader] = {
    standing.KEY: Loader(("member", "workspace"), True, _standing),
    tickets.KEY: Loader(("ticket",), True, _tickets),
    audit_trail.KEY: Loader((), False, _audit_trail),
}
"""By the model's key; a model without one is filled the way projectors do it."""
