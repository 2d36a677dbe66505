"""Account, security settings: the state of MFA, what can be done about it, and the sessions."""

from dataclasses import dataclass
from typing import Any

from flask import Response, g, request, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext

from api.backend import Session
from api.pages.names import account_of
from api.pages.page import Page
from api.pages.site import Site
from api.problems import no_such_thing
from api.visits import Arguments, Visit
from commands.profile import workspace_name
from commands.revoke_sessions import RevokeSessions
from domain.member_mfa import MemberMFA
from domain.refusals import Unauthenticated


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The one state that the row shows."""

    words: str
    kind: str


def add_to(site: Site) -> None:
    """Add the pages."""
    site.menu("settings.show", lazy_gettext("Security settings"))
    site.get("/settings", "settings.show", signed_in, show)
    site.post("/settings/sessions/<session_id>/end", "settings.end", signed_in, end)
    site.post("/settings/sessions/end", "settings.end_all", signed_in, end_all)


def signed_in(visit: Visit, _: Arguments) -> Visit:
    """A member with a session, also with one that opens nothing but the settings."""
    holder = visit.caller.holder
    if holder is None:
        raise Unauthenticated
    return visit.by(visit.caller.person, workspace_id=holder.workspace.id, member=holder.member)


def show(visit: Visit) -> Page:
    """How things stand."""
    assert visit.member is not None
    assert visit.workspace_id is not None
    member = visit.member
    return Page(
        "settings/show.html",
        account=account_of(visit, member.id),
        workspace=workspace_name(visit.desk.vault, visit.workspace_id),
        opens=visit.caller.opens,
        member=member,
        state=state_of(member, visit),
        locked_until=member.locked_until(visit.at),
        sessions=_sessions(visit),
        here=_here(),
    )


def state_of(member: MemberMFA, visit: Visit) -> State:
    """Exactly one of the four."""
    if member.open_ticket:
        return State(words=_("Unbinding requested"), kind="warn")
    if member.locked_until(visit.at):
        return State(words=_("Locked"), kind="bad")
    if member.bound:
        return State(words=_("Bound"), kind="good")
    return State(words=_("Not bound"), kind="")


def end(visit: Visit) -> Response:
    """End one of the member's sessions."""
    assert request.view_args is not None
    asked = request.view_args["session_id"]
    if asked not in {session.id for session in _sessions(visit)}:
        raise no_such_thing()
    if asked == _here():
        g.browser.leave()
        return Page.elsewhere(url_for("front.page"), _("You are signed out."))
    visit.backend.sessions.end(asked)
    return Page.elsewhere(url_for("settings.show"), _("The session has ended."))


def end_all(visit: Visit) -> Response:
    """End every session and pass of the member, at hosts too."""
    assert visit.member is not None
    visit.run(RevokeSessions(member_id=visit.member.id))
    g.browser.leave()
    return Page.elsewhere(url_for("front.page"), _("You are signed out everywhere."))


def _sessions(visit: Visit) -> list[Session]:
    """Those that still hold: an older epoch's have ended without a word."""
    assert visit.member is not None
    found = visit.backend.sessions.of_member(visit.member.id, visit.at)
    return [each for each in found if each.claims["epoch"] == visit.member.epoch]


def _here() -> Any:
    session = g.browser.session()
    return session.id if session else None
