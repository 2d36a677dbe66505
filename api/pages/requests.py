"""Asking support to unbind without the device: the form, with the mailed code as proof."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any

from flask import Response, g, request, url_for
from flask_babel import gettext as _
from pydantic import ValidationError

from api.alike import alike
from api.guards import anyone
from api.limits import admit_anonymous
from api.pages import browsers, login, typed
from api.pages.browsers import LOGIN, MEMBER
from api.pages.page import Page
from api.pages.site import Site
from api.pages.steps import Steps
from api.pages.words import mailed_code_rejected
from api.shapes import TicketBody
from api.visits import Arguments, Visit
from commands.contact import same_address
from commands.live_login import require_call
from commands.send_ticket_code import SendTicketCode
from commands.submit_ticket import SubmitTicket, TicketFiled
from commands.ticket_text import TicketText
from domain.enrolment import send_email_code
from domain.onetime import TICKET
from domain.refusals import CodeRejected, NotBound, Refusal, TicketOpen, TooMany
from domain.times import rfc3339
from domain.unbind_ticket import UnbindTicket

RESEND = timedelta(minutes=1)
"""Sooner no other code goes out: the domain's budget, of which this form knows one span."""
PROOFLESS = "0" * 8
"""Stands in for the mailed code while the rest of the form is checked."""


@dataclass(frozen=True, slots=True, repr=False)
class Written:
    """What the form holds."""

    title: str
    description: str
    email: str = ""
    challenge_id: str = ""
    sent_at: str = ""
    sent_to: str = ""

    @classmethod
    def read(cls) -> "Written":
        """Out of the request."""
        return cls(*map(typed.text, cls.__slots__))

    def free_at(self, now: datetime) -> datetime | None:
        """When this address gets another code, if that is later; no more than a courtesy."""
        try:
            sent_at = datetime.fromisoformat(self.sent_at)
        except ValueError:
            return None
        if not same_address(self.sent_to, self.email):
            return None
        recent = sent_at.tzinfo is UTC and now - RESEND < sent_at <= now
        return sent_at + RESEND if recent else None

    def wrong(self, steps: Steps) -> dict[str, str]:
        """What is wrong with it, by field."""
        body: dict[str, Any] = {
            "type": "unbind_mfa",
            "title": self.title,
            "description": self.description,
            "challenge_id": "unknown",
            "email_code": PROOFLESS,
        }
        if not steps.in_login:
            body["email"] = self.email
        try:
            TicketBody.model_validate(body)
        except ValidationError as error:
            words = _advice()
            return {str(e["loc"][0]): words[str(e["loc"][0])] for e in error.errors()}
        return {}


def add_to(site: Site) -> None:
    """Add the pages."""
    for steps, guard in (
        (Steps("/tickets/new", "tickets_new", MEMBER), anyone),
        (Steps("/login/ticket", "login_ticket", LOGIN), _in_login),
    ):
        steps.put(guard, site.get, "", "ask", ask)
        steps.put(guard, site.post, "/code", "send", send)
        steps.put(guard, site.post, "", "submit", submit)


def ask(steps: Steps, visit: Visit) -> Page:
    """The empty form."""
    return _form(steps, visit, Written(_("Lost device"), ""))


def send(steps: Steps, visit: Visit) -> Page:
    """Mail the code; the page is the same for strangers."""
    written = Written.read()
    if wrong := written.wrong(steps):
        return _form(steps, visit, written, wrong=wrong)
    live = visit.caller.login
    try:
        _limit(steps, visit)
        _refuse_haste(visit, written)
    except TooMany as refusal:
        return _form(steps, visit, _with_newest(visit, written), refusal=refusal)
    asking = SendTicketCode(email=written.email or None, member_id=live.member.id if live else None)
    with _alike(steps):
        sent = visit.run(asking)
    asked = replace(
        written,
        challenge_id=sent.challenge_id,
        sent_at=rfc3339(visit.at),
        sent_to=written.email,
    )
    return _form(steps, visit, asked)


def submit(steps: Steps, visit: Visit) -> Page | Response:
    """File the ticket, and go to its page."""
    written = Written.read()
    code, mistyped = typed.letters(request.form.get("code", ""))
    wrong = written.wrong(steps) | ({"code": mistyped} if mistyped else {})
    if code is None or wrong:
        return _form(steps, visit, written, wrong=wrong)
    try:
        _limit(steps, visit)
        with _alike(steps):
            filed = visit.run(
                SubmitTicket(
                    text=TicketText(written.title, written.description),
                    challenge_id=written.challenge_id,
                    email_code=code,
                    email=written.email or None,
                    login=visit.caller.login,
                )
            )
    except CodeRejected as refusal:
        said = mailed_code_rejected(refusal)
        return _form(steps, visit, written, wrong={"code": said}, rejected=refusal)
    except (NotBound, TicketOpen, TooMany) as refusal:
        return _form(steps, visit, written, refusal=refusal)
    _follow(visit, filed)
    return Page.elsewhere(
        url_for("requests.status", ticket_id=filed.ticket_id), _("Your request is filed.")
    )


def _follow(visit: Visit, filed: TicketFiled) -> None:
    """Let this browser see the ticket from now on."""
    ticket = visit.desk.store.load(UnbindTicket, filed.ticket_id)
    session = g.browser.session(MEMBER)
    if session is None:
        made = browsers.requester_session(ticket.id, ticket.member_id, visit.at)
        g.browser.enter(made, MEMBER)
        return
    followed = {**session.claims.get("tickets", {}), ticket.id: ticket.member_id}
    visit.backend.sessions.note(session.id, {"tickets": followed})


def _form(
    steps: Steps,
    visit: Visit,
    written: Written,
    *,
    wrong: dict[str, str] | None = None,
    refusal: Refusal | None = None,
    rejected: Refusal | None = None,
) -> Page:
    g.once_only = request.method == "POST"  # what was typed is on no other page
    return Page(
        "tickets/new.html",
        wrong=wrong,
        refusal=refusal,
        rejected=rejected,
        steps=steps,
        written=written,
        free_at=written.free_at(visit.at),
    )


def _advice() -> dict[str, str]:
    return {
        "title": _("Give it a title, on one line, of at most 200 characters."),
        "description": _("Describe what happened, in at most 4,000 characters."),
        "email": _("Enter the address of your account, such as name@example.com."),
    }


def _in_login(visit: Visit, path: Arguments) -> Visit:
    visit = login.in_login(visit, path)
    assert visit.caller.login is not None
    require_call(visit.caller.login, "ticket")
    return visit


def _alike(steps: Steps) -> AbstractContextManager[None]:
    """To anybody, strangers and members are answered in the same time."""
    return nullcontext() if steps.in_login else alike()


def _refuse_haste(visit: Visit, written: Written) -> None:
    """Raise TooMany where no mail would go out: the code that is there already stays good.

    In a login the member's budget is known; to anybody else only what this form has sent, and to
    which address, is: whoever mistyped it may ask for the right one at once.
    """
    if (free_at := written.free_at(visit.at)) is not None:
        raise TooMany(retry_after=ceil((free_at - visit.at).total_seconds()))
    if (live := visit.caller.login) is not None:
        send_email_code(live.member, purpose=TICKET, challenge_id="", at=visit.at)


def _with_newest(visit: Visit, written: Written) -> Written:
    """In a login the newest code that was mailed counts, whatever page it was asked for on."""
    live = visit.caller.login
    newest = live.member.challenge(TICKET) if live is not None else None
    return replace(written, challenge_id=newest.id) if newest is not None else written


def _limit(steps: Steps, visit: Visit) -> None:
    """The same limit as of the API's anonymous calls."""
    if not steps.in_login:
        admit_anonymous(visit)
