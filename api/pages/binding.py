"""Binding an authenticator in three numbered steps, in the settings and inside a login alike."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

from flask import Response, g, request, url_for
from flask_babel import gettext as _
from markupsafe import Markup

from api import qr
from api.pages import browsers, login, typed, words
from api.pages.browsers import LOGIN
from api.pages.names import account_of
from api.pages.page import Page
from api.pages.settings import signed_in
from api.pages.site import Site
from api.pages.steps import Steps
from api.visits import Visit
from commands.bind_mfa import BindMFA, MFABound
from commands.contact import account_label, contact_of
from commands.send_bind_code import SendBindCode
from commands.show_enrolment import ShowEnrolment
from commands.start_enrolment import StartEnrolment
from domain.entry import TWO_FACTORS
from domain.onetime import BIND
from domain.refusals import (
    AlreadyBound,
    CodeRejected,
    IllegalTransition,
    Locked,
    Refusal,
    TooMany,
)


def add_to(site: Site, prefix: str, name: str, place: str) -> None:
    """Add the pages."""
    steps = Steps(prefix, name, place)
    put = partial(steps.put, login.in_login if steps.in_login else signed_in)
    put(site.get, "", "mailbox", mailbox)
    put(site.post, "/mail", "send", send)
    put(site.post, "", "prove", prove)
    put(site.get, "/scan", "scan", scan)
    put(site.get, "/recovery-codes", "after", after)
    put(partial(site.post, binds=True), "/recovery-codes", "bind", bind)


def mailbox(steps: Steps, visit: Visit) -> Page | Response:
    """Step 1: the code that is mailed to the registered address."""
    return _away(steps, visit) or _mailbox(steps, visit)


def send(steps: Steps, visit: Visit) -> Page | Response:
    """Mail a code, within the mailbox's budget."""
    assert visit.member is not None
    if away := _away(steps, visit):
        return away
    try:
        sent = visit.run(SendBindCode(member_id=visit.member.id))
    except AlreadyBound:
        return Page.elsewhere(steps.url("after"))
    except TooMany as refusal:
        return _mailbox(steps, visit, refusal=refusal)
    g.browser.note(resend_at=sent.resend_at.isoformat())
    return Page.elsewhere(steps.url("mailbox"), _("A code is on its way."))


def prove(steps: Steps, visit: Visit) -> Page | Response:
    """Exchange the mailed code for a secret."""
    assert visit.member is not None
    if away := _away(steps, visit):
        return away
    code, wrong = typed.digits(request.form.get("code", ""))
    if code is None:
        return _mailbox(steps, visit, wrong=wrong)
    try:
        opened = visit.run(StartEnrolment(member_id=visit.member.id, email_code=code))
    except AlreadyBound:
        return Page.elsewhere(steps.url("after"))
    except CodeRejected as refusal:
        return _mailbox(steps, visit, rejected=refusal)
    g.browser.note(enrolment_id=opened.enrolment_id, resend_at=None, refused=None)
    return Page.elsewhere(steps.url("scan"))


def scan(steps: Steps, visit: Visit) -> Page | Response:
    """Step 2: the secret as a picture and as text; whatever is reloaded, it stays the same."""
    assert visit.member is not None
    enrolment_id = g.browser.noted("enrolment_id")
    if enrolment_id is None:
        return Page.elsewhere(steps.url("mailbox"))
    try:
        shown = visit.run(ShowEnrolment(member_id=visit.member.id, enrolment_id=enrolment_id))
    except AlreadyBound:
        return Page.elsewhere(steps.url("after"))
    except IllegalTransition:
        g.browser.note(enrolment_id=None, refused=None)
        ended = _("That took longer than ten minutes, or was begun anew elsewhere. Begin again.")
        return Page.elsewhere(steps.url("mailbox"), ended)
    wrong = _refused_before()
    return Page(
        "binding/scan.html",
        status=200,
        wrong=wrong,
        steps=steps,
        leads_to=login.leads_to(visit),
        picture=Markup(qr.figure(shown.otpauth_uri, _("QR code for your authenticator app"))),  # noqa: S704 - drawn by us
        groups=[shown.secret[i : i + 4] for i in range(0, len(shown.secret), 4)],
        secret=shown.secret,
        address=shown.otpauth_uri,
        issuer=visit.desk.rules.issuer,
        account=account_label(visit.desk.vault, visit.member.id),
        expires_at=shown.expires_at,
    )


def bind(steps: Steps, visit: Visit) -> Page | Response:
    """The first right code binds; a wrong one keeps the secret and asks again."""
    assert visit.member is not None
    assert visit.workspace_id is not None
    code, wrong = typed.digits(request.form.get("code", ""))
    if code is None:
        g.browser.note(refused={"words": wrong})
        return Page.elsewhere(steps.url("scan"))
    live = visit.caller.login
    command = BindMFA(
        member_id=visit.member.id,
        workspace_id=visit.workspace_id,
        code=code,
        enrolment_id=g.browser.noted("enrolment_id"),
        login_id=live.id if live else None,
    )
    try:
        bound = visit.run(command)
    except (CodeRejected, Locked) as refusal:
        g.browser.note(refused={"words": words.refused(refusal), "markup": True})
        return Page.elsewhere(steps.url("scan"))
    except AlreadyBound:
        return Page.elsewhere(steps.url("after"))
    except IllegalTransition:
        return Page.elsewhere(steps.url("scan"))
    return _bound(steps, visit, bound)


def after(steps: Steps, visit: Visit) -> Page | Response:
    """The recovery codes are shown once: whoever comes back is told so, and how to get others."""
    assert visit.member is not None
    if not visit.member.bound:
        return Page.elsewhere(steps.url("scan"))
    login_now = visit.caller.login
    if login_now is not None and login_now.state != "granted":
        return Page.elsewhere(url_for("login.show"), _("An authenticator is bound already."))
    return Page("binding/after.html", steps=steps, leads_to=login.leads_to(visit))


def recovery_codes_page(visit: Visit, codes: tuple[str, ...], **values: Any) -> Page:
    """Ten codes, to be saved before going on; nobody sees them again."""
    assert visit.member is not None
    g.once_only = True
    address = account_of(visit, visit.member.id).address
    whose = " · ".join(filter(None, (visit.desk.rules.issuer, address)))
    text = "\n".join((whose, "", *codes, ""))
    return Page(
        "binding/recovery_codes.html",
        whose=whose,
        codes=codes,
        text=text,
        download=quote(text),
        **values,
    )


def _bound(steps: Steps, visit: Visit, bound: MFABound) -> Page:
    """Under a new session id: the one before the step up is void."""
    if steps.in_login:
        credential = visit.caller.credential
        assert credential is not None
        onwards = g.browser.noted("onwards")
        session = browsers.login_session(
            credential, visit.at, amr=list(TWO_FACTORS), onwards=onwards
        )
        g.browser.enter(session, LOGIN)
    else:
        assert bound.token is not None
        login.enter_with(visit, bound.token)
    return recovery_codes_page(
        visit, bound.recovery_codes, steps=steps, fresh=True, leads_to=login.leads_to(visit)
    )


def _away(steps: Steps, visit: Visit) -> Response | None:
    """Whoever has an authenticator, or may not try for a while, is elsewhere at home."""
    assert visit.member is not None
    if visit.member.bound:
        return Page.elsewhere(steps.url("after"))
    if visit.caller.login is not None and visit.caller.login.state == "locked":
        return Page.elsewhere(url_for("login.show"))
    return None


def _mailbox(
    steps: Steps,
    visit: Visit,
    *,
    wrong: str = "",
    refusal: Refusal | None = None,
    rejected: CodeRejected | None = None,
) -> Page:
    assert visit.member is not None
    contact = contact_of(visit.desk.vault, visit.member.id)
    pending = visit.member.challenge(BIND)
    sent = pending is not None and pending.expires_at > visit.at
    if rejected is not None:
        wrong = words.mailed_code_rejected(rejected)
    return Page(
        "binding/mailbox.html",
        rejected=rejected,
        wrong=wrong,
        refusal=refusal,
        steps=steps,
        address=contact.masked if contact else "",
        sent=sent,
        expires_at=pending.expires_at if pending else None,
        resend_at=_resend_at(visit, refusal),
        now=visit.at,
        leads_to=login.leads_to(visit),
    )


def _resend_at(visit: Visit, refusal: Refusal | None) -> datetime | None:
    if refusal is not None and refusal.retry_after:
        return visit.at + timedelta(seconds=refusal.retry_after)
    noted = g.browser.noted("resend_at")
    return datetime.fromisoformat(noted) if noted else None


def _refused_before() -> str:
    """What the last try was answered with, said once."""
    refused = g.browser.noted("refused")
    if not refused:
        return ""
    g.browser.note(refused=None)
    said = str(refused["words"])
    return Markup(said) if refused.get("markup") else said  # noqa: S704 - our own words
