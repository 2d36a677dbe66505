"""Who may call what: each guard refuses with 401, 404 or 403, in this order, before the body.

A guard's docstring is what the OpenAPI document says of who may call.
"""

from collections.abc import Callable

from flask import request

from api.callers import ALL_OVER
from api.fields import ID
from api.problems import no_such_thing
from api.visits import Arguments, Visit
from commands.agents import in_scope
from commands.live_login import live_login, require_call
from commands.put_member import refuse_foreign
from domain.entry import CALLS
from domain.member_mfa import MemberMFA
from domain.refusals import Forbidden, Unauthenticated
from domain.unbind_ticket import UnbindTicket
from domain.workspace import Workspace

Guard = Callable[[Visit, Arguments], Visit]


def anyone(visit: Visit, _: Arguments) -> Visit:
    """Anyone: no credential is needed, and none is looked at."""
    return visit


def holder_of_pass(visit: Visit, _: Arguments) -> Visit:
    """Whoever has a pass that opens the workspace; the call itself looks at it."""
    return visit


def roles(*allowed: str) -> Guard:
    """Callers with one of the roles, on what belongs to no single workspace or member."""

    def guard(visit: Visit, _: Arguments) -> Visit:
        _require_role(visit, allowed)
        return visit.by(visit.caller.actor, workspace_id=visit.caller.scope)

    guard.__doc__ = f"{' or '.join(allowed)}."
    return guard


def host_puts_workspace(visit: Visit, path: Arguments) -> Visit:
    """A host, also where the workspace is not there yet."""
    caller, workspace_id = visit.known(), path["workspace_id"]
    if caller.role != "host" or not caller.sees_workspace(workspace_id):
        _workspace(visit, workspace_id)
        _require_role(visit, ("host",))
    return visit.by(caller.actor, workspace_id=workspace_id)


def in_workspace(*allowed: str, closed: bool = False) -> Guard:
    """Callers with one of the roles, in an existing workspace.

    `closed` admits an owner whose pass does not open the workspace: a code is asked anyway.
    """

    def guard(visit: Visit, path: Arguments) -> Visit:
        workspace = _workspace(visit, path["workspace_id"])
        _require_role(visit, allowed, closed=closed)
        actor = visit.caller.actor
        return visit.by(actor, workspace_id=workspace.id, workspace=workspace)

    guard.__doc__ = f"{' or '.join(allowed)}, in an existing workspace."
    return guard


def past_for_auditors(*allowed: str) -> Guard:
    """Callers with one of the roles, in an existing workspace; auditors ask with `as_of` alone."""
    admitted = in_workspace(*allowed, "auditor")

    def guard(visit: Visit, path: Arguments) -> Visit:
        visit = admitted(visit, path)
        if visit.caller.role == "auditor" and "as_of" not in request.args:
            raise Forbidden("An auditor asks with as_of.")
        return visit

    guard.__doc__ = f"{' or '.join(allowed)}; auditor with `as_of`; in an existing workspace."
    return guard


def host_puts_member(visit: Visit, path: Arguments) -> Visit:
    """A host, in an existing workspace; one that is confined to it puts no member of others."""
    visit = in_workspace("host")(visit, path)
    if visit.caller.scope is not None:
        member = visit.desk.store.load(MemberMFA, _id(path["member_id"]))
        refuse_foreign(member, path["workspace_id"])
    return visit


def host_of_member(visit: Visit, path: Arguments) -> Visit:
    """A host, on a member that the workspace has."""
    workspace = _workspace(visit, path["workspace_id"])
    member = _member(visit, path["member_id"])
    if workspace.id not in member.roles:
        raise no_such_thing()
    _require_role(visit, ("host",))
    return visit.by(visit.caller.actor, workspace_id=workspace.id)


def reads_mfa(visit: Visit, path: Arguments) -> Visit:
    """The member with a pass or a login token, host, auditor, or owner of one of its workspaces."""
    member = _member(visit, path["member_id"])
    if not visit.caller.is_member(member.id):
        _require_role(visit, ("host", "owner", "auditor"))
    return visit.by(visit.caller.actor, member=member)


def in_person(call: str | None) -> Guard:
    """The member, with a pass, or with a login token whose state opens `call`; None: a pass."""

    def guard(visit: Visit, path: Arguments) -> Visit:
        member = _member(visit, path["member_id"])
        caller = visit.caller
        if not caller.is_member(member.id):
            raise _forbidden()
        if caller.login is not None:
            if call is None:
                raise _forbidden()
            require_call(caller.login, call)
        return visit.by(caller.person, workspace_id=caller.workspace_id, member=member)

    states = [state for state, opened in CALLS.items() if call in opened]
    login = f", or with a login token in the state {' or '.join(states)}" if states else ""
    guard.__doc__ = f"The member with a pass{login}."
    return guard


def revokes(visit: Visit, path: Arguments) -> Visit:
    """The member with a pass, or a host."""
    member = _member(visit, path["member_id"])
    caller = visit.caller
    if caller.role == "host":
        return visit.by(caller.actor, workspace_id=caller.scope, member=member)
    if not caller.is_member(member.id) or caller.login is not None:
        raise _forbidden()
    return visit.by(caller.person, workspace_id=caller.workspace_id, member=member)


def reads_login(visit: Visit, path: Arguments) -> Visit:
    """The login's own token, or a host."""
    visit = _login(visit, path["login_id"])
    if visit.caller.login is None:
        _require_role(visit, ("host",))
    return visit


def enters_code(visit: Visit, path: Arguments) -> Visit:
    """The login's own token, in a state that takes a code."""
    visit = _login(visit, path["login_id"])
    if visit.caller.login is None:
        raise _forbidden()
    require_call(visit.caller.login, "code")
    return visit


def asks_for_ticket(visit: Visit, _: Arguments) -> Visit:
    """Anyone; a login token proves the first factor, where its state opens tickets."""
    login = visit.caller.login
    if login is None:
        return visit
    require_call(login, "ticket")
    return visit.by(visit.caller.person, workspace_id=login.workspace.id)


def reads_ticket(visit: Visit, path: Arguments) -> Visit:
    """The ticket's own token, that member's pass, or support."""
    visit = _ticket(visit, path["ticket_id"])
    if not _is_requester(visit) or visit.caller.role == "canceller":
        _require_role(visit, ("support",))
    return visit


def cancels_ticket(visit: Visit, path: Arguments) -> Visit:
    """The ticket's own token, the mailed cancel token, or that member's pass."""
    visit = _ticket(visit, path["ticket_id"])
    if not _is_requester(visit):
        raise _forbidden()
    return visit.by(visit.caller.person)


def agent_at_ticket(visit: Visit, path: Arguments) -> Visit:
    """An agent."""
    visit = _ticket(visit, path["ticket_id"])
    _require_role(visit, ("support",))
    return visit


def agent_unless(refuse: Callable[[UnbindTicket, str | None], None]) -> Guard:
    """An agent, unless the domain refuses this one on the ticket."""

    def guard(visit: Visit, path: Arguments) -> Visit:
        visit = agent_at_ticket(visit, path)
        assert visit.ticket is not None
        refuse(visit.ticket, visit.caller.member_id)
        return visit

    guard.__doc__ = "support; never the requester, nor whom assignee or approvals rule out."
    return guard


def _is_requester(visit: Visit) -> bool:
    caller, ticket = visit.caller, visit.ticket
    assert ticket is not None
    by_pass = caller.holder is not None and caller.member_id == ticket.member_id
    return caller.ticket_id == ticket.id or by_pass


def _workspace(visit: Visit, workspace_id: str) -> Workspace:
    caller = visit.known()
    if not caller.sees_workspace(_id(workspace_id)):
        raise no_such_thing()
    workspace = visit.desk.store.load(Workspace, workspace_id)
    if not workspace.created:
        raise no_such_thing()
    return workspace


def _member(visit: Visit, member_id: str) -> MemberMFA:
    """The member; a caller in person was loaded already, with the same stream."""
    caller = visit.known()
    if caller.is_member(_id(member_id)):
        assert caller.member is not None
        return caller.member
    member = visit.desk.store.load(MemberMFA, member_id)
    if not caller.sees_member(member):
        raise no_such_thing()
    return member


def _login(visit: Visit, login_id: str) -> Visit:
    """The login as its streams see it now, where it is any of the caller's business."""
    caller, desk = visit.known(), visit.desk
    if caller.login is not None and caller.login.id == login_id:
        workspace_id = caller.login.workspace.id
        return visit.by(caller.actor, login=caller.credential, workspace_id=workspace_id)
    found = desk.credentials.by_subject("login", _id(login_id))
    if found is None or caller.login is not None:
        raise no_such_thing()
    workspace_id = found.claims["workspace_id"]
    own = caller.is_member(found.claims["member_id"])
    if not own and (caller.role not in ALL_OVER or not caller.sees_workspace(workspace_id)):
        raise no_such_thing()
    try:
        live_login(desk, visit.context, found)
    except Unauthenticated:
        raise no_such_thing() from None
    return visit.by(caller.actor, login=found, workspace_id=workspace_id)


def _ticket(visit: Visit, ticket_id: str) -> Visit:
    caller, store = visit.known(), visit.desk.store
    ticket = store.load(UnbindTicket, _id(ticket_id))
    if not ticket.status:
        raise no_such_thing()
    own = caller.ticket_id == ticket.id or caller.is_member(ticket.member_id)
    if not own and (caller.role not in ALL_OVER or not in_scope(visit.desk, caller.scope, ticket)):
        raise no_such_thing()
    return visit.by(caller.actor, ticket=ticket, workspace_id=ticket.workspace_id)


def _require_role(visit: Visit, allowed: tuple[str, ...], *, closed: bool = False) -> None:
    caller = visit.known()
    if caller.role not in allowed or not (caller.opens or closed):
        raise _forbidden()


def _id(value: str) -> str:
    """An id that could be one: there is nothing under any other."""
    if not ID.fullmatch(value):
        raise no_such_thing()
    return value


def _forbidden() -> Forbidden:
    return Forbidden("This credential does not allow it.")
