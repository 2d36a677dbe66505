"""Which rows of the audit trail a query asks for, and which of them its caller may see."""

from dataclasses import fields, replace

from api.problems import no_such_thing
from api.shapes import AuditQuery
from api.visits import Visit
from projections.audit_trail import Filter


def filter_of(query: AuditQuery) -> Filter:
    """The query as the read model takes it."""
    return Filter(**{field.name: getattr(query, field.name) for field in fields(Filter)})


def within_scope(visit: Visit, wanted: Filter) -> Filter:
    """An owner looks at its own workspace alone."""
    scope = visit.caller.scope
    if scope is None:
        return wanted
    if wanted.workspace_id not in (None, scope):
        raise no_such_thing()
    return replace(wanted, workspace_id=scope)
