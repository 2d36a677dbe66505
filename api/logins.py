"""Logins: opened by the host, granted by a code, exchanged for a pass, and checked."""

from urllib.parse import quote

from api import answers, guards, reading
from api.calls import Answer, Calls
from api.problems import no_such_thing
from api.shapes import (
    ExchangeBody,
    LoginBody,
    LoginCheckQuery,
    LoginPath,
    ProofBody,
    Query,
)
from api.visits import Visit
from commands.check_login import CheckLogin, LoginChecked
from commands.enter_code import EnterCode
from commands.exchange_login import ExchangeLogin
from commands.live_login import live_login
from commands.open_login import LoginOpened, OpenLogin
from domain.entry import Due, due
from domain.refusals import CodeRejected
from projections import standing

calls = Calls("Logins")


@calls.post(
    "/v1/logins",
    guard=guards.roles("host"),
    answers={201: answers.OpenedLogin},
    refuses=("not-found",),
)
def open_login(visit: Visit, body: LoginBody) -> Answer:
    """Begin a login after the host has checked the password."""
    if not visit.caller.sees_workspace(body.workspace_id):
        raise no_such_thing()
    visit = visit.by(visit.actor, workspace_id=body.workspace_id)
    opened: LoginOpened = visit.run(
        OpenLogin(
            workspace_id=body.workspace_id,
            member_id=body.member_id,
            return_url=body.return_url,
            state=body.state,
            first_factor_changed_at=body.first_factor_changed_at,
        )
    )
    page = f"{visit.backend.public_url}/login/?handover={quote(opened.handover, safe='')}"
    shown = answers.OpenedLogin(
        login_id=opened.login_id,
        state=opened.due.decision,
        expires_at=opened.expires_at,
        enrolment_due_at=opened.due.enrolment_due_at,
        locked_until=opened.due.locked_until,
        login_token=opened.login_token,
        page=page,
        pass_=opened.token,
        expires_in=opened.expires_in,
    )
    return Answer(status=201, body=shown, position=opened.position)


@calls.get(
    "/v1/logins/<login_id>",
    guard=guards.reads_login,
    answers={200: answers.Login},
    expects="login",
    reads=reading.STORE,
)
def get_login(visit: Visit, path: LoginPath, query: Query) -> Answer:
    """The login's state, computed anew."""
    assert visit.login is not None
    live = live_login(visit.desk, visit.context, visit.login)
    what = due(live.member, live.workspace, visit.at)
    shown = answers.Login(
        login_id=live.id,
        state=live.state,
        expires_at=live.expires_at,
        enrolment_due_at=what.enrolment_due_at,
        locked_until=what.locked_until,
    )
    return Answer(body=shown)


@calls.post(
    "/v1/logins/<login_id>/code",
    guard=guards.enters_code,
    answers={200: answers.GrantedLogin},
    refuses=("illegal-transition", "not-bound", "locked", "code-rejected"),
    expects="login",
)
def enter_code(visit: Visit, path: LoginPath, body: ProofBody) -> Answer:
    """Grant the login with a code, or with a recovery code."""
    assert visit.login is not None
    granted = visit.run(EnterCode(login=visit.login, proof=body.proof))
    shown = answers.GrantedLogin(pass_=granted.token, expires_in=granted.expires_in)
    return Answer(body=shown, position=granted.position)


@calls.post(
    "/v1/logins/exchange",
    guard=guards.roles("host"),
    answers={200: answers.ExchangedLogin},
    refuses=("code-rejected",),
)
def exchange_login(visit: Visit, body: ExchangeBody) -> Answer:
    """Swap the one-time code of the return address for the pass; once, within a minute."""
    known = visit.desk.credentials.find("exchange", body.code)
    if known is None or not visit.caller.sees_workspace(known.claims["workspace_id"]):
        raise CodeRejected("The code was not accepted.")
    done = visit.run(ExchangeLogin(code=body.code))
    shown = answers.ExchangedLogin(
        login_id=done.login_id,
        member_id=done.member_id,
        workspace_id=done.workspace_id,
        pass_=done.token,
        expires_in=done.expires_in,
    )
    return Answer(body=shown, position=done.position)


@calls.get(
    "/v1/login-checks",
    guard=guards.roles("host"),
    answers={200: answers.LoginCheck},
    refuses=("not-found",),
    reads=standing.KEY,
)
def check_login(visit: Visit, query: LoginCheckQuery) -> Answer:
    """What is due of a member before a workspace opens; current, whatever the read model's lag."""
    if not visit.caller.sees_workspace(query.workspace_id):
        raise no_such_thing()
    with visit.backend.reads.connection() as connection:
        seen = standing.see(connection, query.workspace_id, query.member_id)
    if seen.behind:
        return Answer(body=_asked(visit, query))
    if query.workspace_id not in seen.member.roles:
        raise no_such_thing()
    what = due(seen.member, seen.workspace, visit.at)
    return Answer(body=_check(what, seen.member.bound, seen.member.epoch, seen.position))


def _asked(visit: Visit, query: LoginCheckQuery) -> answers.LoginCheck:
    """The same out of the streams."""
    checked: LoginChecked = visit.run(
        CheckLogin(workspace_id=query.workspace_id, member_id=query.member_id)
    )
    return _check(checked.due, checked.bound, checked.epoch, checked.position)


def _check(what: Due, bound: bool, epoch: int, position: int) -> answers.LoginCheck:
    return answers.LoginCheck(
        decision=what.decision,
        reason=what.reason,
        mfa_required=what.mfa_required,
        bound=bound,
        epoch=epoch,
        enrolment_due_at=what.enrolment_due_at,
        locked_until=what.locked_until,
        position=position,
    )
