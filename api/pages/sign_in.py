"""Sign-in of the demonstration realm, in place of a host's: off unless it is switched on."""

import hashlib

from flask import Response, g, request, url_for
from flask_babel import gettext as _

from api import guards
from api.backend import Passwords
from api.limits import caller_address
from api.pages import browsers
from api.pages.browsers import LOGIN
from api.pages.local import local_path
from api.pages.page import Page
from api.pages.site import Site
from api.problems import no_such_thing
from api.visits import Visit
from commands.open_login import OpenLogin
from domain.entry import PASSWORD
from domain.facts import Actor
from domain.refusals import TooMany

TRIES = 100
"""Sign-ins an hour from one address under one name."""


def add_to(site: Site) -> None:
    """Add the pages."""
    site.get("/sign-in", "sign_in.ask", guards.anyone, ask)
    site.post("/sign-in", "sign_in.enter", guards.anyone, enter)
    site.post("/sign-out", "sign_in.out", guards.anyone, out)


def ask(visit: Visit) -> Page:
    """Who, and with which password."""
    _realm(visit)
    return _form(local_path(request.args.get("next")))


def enter(visit: Visit) -> Page | Response:
    """With the right password begin a login, as a host would."""
    realm = _realm(visit)
    name, password = request.form.get("name", "").strip(), request.form.get("password", "")
    onwards = local_path(request.form.get("next"))
    wrong = {
        field: words
        for field, value, words in (
            ("name", name, _("Enter your member id or address.")),
            ("password", password, _("Enter your password.")),
        )
        if not value
    }
    if wrong:
        return _form(onwards, name=name, wrong=wrong)
    _limit(visit, name)
    found = realm.check(name[:256], password[:1024])
    if found is None:
        return _form(
            onwards,
            name=name,
            wrong={"password": _("That name and password do not belong together.")},
        )
    return _begin(visit, *found, onwards)


def out(visit: Visit) -> Response:
    """End the session."""
    g.browser.leave()
    return Page.elsewhere(url_for("front.page"), _("You are signed out."))


def _realm(visit: Visit) -> Passwords:
    if visit.backend.passwords is None:
        raise no_such_thing()
    return visit.backend.passwords


def _form(onwards: str, *, name: str = "", wrong: dict[str, str] | None = None) -> Page:
    return Page("sign_in.html", wrong=wrong, name=name, onwards=onwards)


def _begin(visit: Visit, workspace_id: str, member_id: str, onwards: str) -> Response:
    host = visit.by(Actor("host", "demo"), workspace_id=workspace_id)
    opened = host.run(OpenLogin(workspace_id=workspace_id, member_id=member_id))
    login = visit.desk.credentials.by_subject("login", opened.login_id)
    assert login is not None
    session = browsers.login_session(login, visit.at, amr=list(PASSWORD), onwards=onwards)
    g.browser.enter(session, LOGIN)
    return Page.elsewhere(url_for("login.show"))


def _limit(visit: Visit, name: str) -> None:
    caller = hashlib.sha256(caller_address(visit.backend) + name.casefold().encode()).digest()
    wait = visit.backend.limiter.admit("sign-in", caller, TRIES, visit.at)
    if wait is not None:
        raise TooMany(retry_after=wait)
