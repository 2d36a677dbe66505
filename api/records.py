"""What happened: the audit trail, and the events as they are published."""

from functools import partial

from api import answers, exports, following, guards, reading
from api.audit_scope import filter_of, within_scope
from api.calls import JSON, Answer, Calls
from api.shapes import AuditQuery, EventsQuery
from api.visits import Visit
from projections import audit_trail

calls = Calls("Audit and events")


@calls.get(
    "/v1/audit",
    guard=guards.roles("auditor", "owner"),
    answers={200: answers.Audit},
    media_types=(JSON, "application/x-ndjson", "text/csv"),
    headers=("Twinlock-Manifest", "Twinlock-Position"),
    refuses=("not-found",),
    reads=audit_trail.KEY,
)
def read_audit(visit: Visit, query: AuditQuery) -> Answer:
    """The audit trail in the order of positions; an owner reads its own workspace's.

    As NDJSON or CSV (by Accept) it is streamed, to its end where no limit is given, and the
    export becomes an event; its manifest stands in the header Twinlock-Manifest. There are few
    places: 503.
    """
    wanted = within_scope(visit, filter_of(query))
    paging = reading.paging(visit.backend, query, "audit", visit.caller.scope)
    if (kind := exports.kind_asked()) is not None:
        limit = query.limit if "limit" in query.model_fields_set else None
        asked = exports.Wanted(filter=wanted, after=paging.after_number(), limit=limit)
        return exports.export(visit, asked, kind)
    with visit.backend.reads.connection() as connection:
        rows = audit_trail.page(
            connection, wanted, after=paging.after_number(), limit=paging.wanted
        )
    page, cursor = paging.cut(rows, lambda row: row.position)
    return Answer(body=answers.Audit(items=[item(row) for row in page], next_cursor=cursor))


@calls.get(
    "/v1/events",
    guard=guards.roles("auditor", "analyst"),
    answers={200: answers.Events},
    media_types=(JSON, following.MEDIA_TYPE),
    reads=reading.STORE,
)
def read_events(visit: Visit, query: EventsQuery) -> Answer:
    """CloudEvents behind a position, the same as on Kafka, as a page or as server-sent events.

    A stream (Accept: text/event-stream) begins behind `after`, or behind Last-Event-ID where that
    is sent; it ends after five minutes, and its reader comes again. There are few places: 503.
    """
    types = frozenset(query.types.split(",")) if query.types else None
    read = partial(visit.backend.events, types=types, workspace_id=visit.caller.scope)
    if following.wanted():
        return following.stream(visit, read, query.after)
    events, next_after = read(after=query.after, limit=query.limit)
    if not events:
        following.refuse_beyond(visit, query.after)
    shown = answers.Events(events=[dict(event) for event in events], next_after=next_after)
    return Answer(body=shown)


def item(row: audit_trail.Row) -> answers.AuditItem:
    """An event as it is shown."""
    return answers.AuditItem(
        position=row.position,
        time=row.time,
        type=row.type,
        actor=answers.Actor(kind=row.actor_kind, id=row.actor_id),
        subject=row.subject,
        workspace_id=row.workspace_id,
        request_id=row.request_id,
        result=row.result,
        data=dict(row.data),
    )
