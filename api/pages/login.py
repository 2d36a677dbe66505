"""The login step: after the first factor, a code, a recovery code, a set-up or nothing at all."""

from datetime import timedelta
from typing import Any

from flask import Response, g, redirect, request, url_for

from api.pages import browsers, typed
from api.pages.browsers import LOGIN
from api.pages.names import account_of
from api.pages.origin import origin_of
from api.pages.page import Page
from api.pages.site import Site
from api.pages.words import APP, RECOVERY, refused
from api.visits import Arguments, Visit
from commands.enter_code import EnterCode
from commands.finish_login import FinishLogin
from commands.live_login import LiveLogin, live_login, require_call
from commands.profile import workspace_name
from commands.secrets import Proof
from commands.swap_handover import SwapHandover
from domain.entry import PASSWORD, TWO_FACTORS
from domain.refusals import CodeRejected, IllegalTransition, Locked, Refusal, Unauthenticated

DAY = timedelta(days=1)


def add_to(site: Site) -> None:
    """Add the pages."""
    site.get("/login/", "login.show", arrives, show, place=LOGIN)
    site.get("/login/recovery", "login.recovery", in_login, recovery, place=LOGIN)
    site.post("/login/code", "login.code", in_login, enter_code, place=LOGIN)
    site.post("/login/recovery", "login.spend", in_login, enter_recovery_code, place=LOGIN)
    site.post("/login/finish", "login.finish", in_login, finish, place=LOGIN)


def arrives(visit: Visit, path: Arguments) -> Visit:
    """Whoever brings a hand-over token, and whoever is in a login already."""
    return visit if "handover" in request.args else in_login(visit, path)


def in_login(visit: Visit, _: Arguments) -> Visit:
    """The browser in which the login goes on."""
    if visit.caller.login is None:
        raise Unauthenticated
    return visit.by(
        visit.caller.person,
        workspace_id=visit.caller.workspace_id,
        member=visit.caller.login.member,
    )


def show(visit: Visit) -> Page | Response:
    """What is due now."""
    if (token := request.args.get("handover")) is not None:
        if request.method == "HEAD":
            return Page.elsewhere(url_for("login.show"))
        return _swap(visit, token)
    login = at_hand(visit)
    match login.state:
        case "enrolment_required":
            return Page.elsewhere(url_for("login_bind.mailbox"))
        case "granted":
            return _grace(visit) if _may_bind(visit, login) else finish(visit)
        case "locked":
            return _locked(visit)
    return _code(visit)


def recovery(visit: Visit) -> Page | Response:
    """Ask for a recovery code instead."""
    if at_hand(visit).state not in ("code_required", "locked"):
        return Page.elsewhere(url_for("login.show"))
    return _recovery(visit)


def enter_code(visit: Visit) -> Page | Response:
    """Spend the code."""
    if onwards := _moved_on(visit):
        return onwards
    code, wrong = typed.digits(request.form.get("code", ""))
    if code is None:
        return _code(visit, wrong=wrong)
    try:
        return _enter(visit, Proof(code=code))
    except (CodeRejected, Locked) as refusal:
        if refusal.locked_until is not None:
            return _locked(visit, refusal=refusal)
        return _code(visit, refusal=refusal)


def enter_recovery_code(visit: Visit) -> Page | Response:
    """Spend a recovery code."""
    if onwards := _moved_on(visit):
        return onwards
    code, wrong = typed.recovery_code(request.form.get("code", ""))
    if code is None:
        return _recovery(visit, wrong=wrong)
    try:
        return _enter(visit, Proof(recovery_code=code))
    except (CodeRejected, Locked) as refusal:
        return _recovery(visit, refusal=refusal)


def finish(visit: Visit) -> Response:
    """Back to the host, or, where it named no address, on to the settings."""
    try:
        return finished(visit, tuple(g.browser.noted("amr")))
    except IllegalTransition:
        # Something else is due by now.
        if at_hand(visit).state == "granted":
            raise Unauthenticated from None
        return Page.elsewhere(url_for("login.show"))


def finished(visit: Visit, amr: tuple[str, ...]) -> Response:
    """The end of a granted login; raises IllegalTransition where it is not."""
    assert visit.caller.credential is not None
    done = visit.run(FinishLogin(login=visit.caller.credential, amr=amr))
    onwards = g.browser.noted("onwards")
    g.browser.leave(LOGIN)
    if done.address is not None:
        return redirect(done.address, 303)  # type: ignore[return-value]
    enter_with(visit, done.token)
    return Page.elsewhere(onwards if onwards not in (None, "/") else url_for("settings.show"))


def enter_with(visit: Visit, token: str) -> None:
    """A session of the member's, under a new id, with what the pass says."""
    claims = visit.desk.passes.read(token, visit.at)
    assert claims is not None
    g.browser.enter(browsers.member_session(claims, visit.at), browsers.MEMBER)


def at_hand(visit: Visit) -> LiveLogin:
    """The login under way, as it is now."""
    assert visit.caller.credential is not None
    return live_login(visit.desk, visit.context, visit.caller.credential)


def leads_to(visit: Visit) -> str | None:
    """The origin of the address that this login returns to."""
    credential = visit.caller.credential
    address = credential.claims["return_url"] if credential else None
    return origin_of(address) if address else None


def _swap(visit: Visit, token: str) -> Response:
    """The token in the address for a cookie; what was in the address works no more."""
    swapped = visit.run(SwapHandover(handover=token))
    g.browser.enter(browsers.login_session(swapped.login, visit.at, amr=list(PASSWORD)), LOGIN)
    return Page.elsewhere(url_for("login.show"))


def _moved_on(visit: Visit) -> Response | None:
    """Onwards where no code is due any more: it was given, or MFA unbound, in another tab."""
    match at_hand(visit).state:
        case "granted":
            return finish(visit)
        case "enrolment_required":
            return Page.elsewhere(url_for("login.show"))
    return None


def _enter(visit: Visit, proof: Proof) -> Response:
    login = at_hand(visit)
    require_call(login, "code")
    assert visit.caller.credential is not None
    visit.run(EnterCode(login=visit.caller.credential, proof=proof))
    return finished(visit, TWO_FACTORS)


def _may_bind(visit: Visit, login: LiveLogin) -> bool:
    """Whether a member in grace still gets the advice to bind."""
    return login.workspace.in_grace(visit.at) and not login.member.bound


def _grace(visit: Visit) -> Page:
    login = at_hand(visit)
    until = login.workspace.grace_until
    assert until is not None
    return _page(visit, "login/grace.html", until=until, days=(until - visit.at) // DAY)


def _code(visit: Visit, *, wrong: str = "", refusal: Refusal | None = None) -> Page:
    said = refused(refusal, APP) if refusal else wrong
    return _page(visit, "login/code.html", wrong=said, refusal=refusal)


def _recovery(visit: Visit, *, wrong: str = "", refusal: Refusal | None = None) -> Page:
    said = refused(refusal, RECOVERY) if refusal else wrong
    return _page(visit, "login/recovery.html", wrong=said, refusal=refusal)


def _locked(visit: Visit, *, refusal: Refusal | None = None) -> Page:
    member = at_hand(visit).member
    until = member.locked_until(visit.at)
    if until is None:
        return _code(visit)
    return _page(visit, "login/locked.html", refusal=refusal, until=until, bound=member.bound)


def _page(
    visit: Visit,
    template: str,
    *,
    wrong: str = "",
    refusal: Refusal | None = None,
    **values: Any,
) -> Page:
    login = at_hand(visit)
    return Page(
        template,
        rejected=refusal,
        wrong=wrong,
        leads_to=leads_to(visit),
        account=account_of(visit, login.member.id),
        workspace=workspace_name(visit.desk.vault, login.workspace.id),
        **values,
    )
