"""A tour of the whole site: every page there is, in the states that people meet it in."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from playwright.sync_api import Page

from commands.set_policy import SetPolicy
from tests.browser.support.entering import let_in
from tests.browser.support.mails import mailed_code, mailed_link
from tests.browser.support.people import BEFORE, Person, a_crowd, a_person, a_workspace
from tests.browser.support.requests import a_login, a_request, refuse_codes
from tests.browser.support.site import Site

Visit = Callable[[], Page]
Stop = tuple[str, Page]
SEND = "main form button[type=submit]"


def tour(site: Site, visit: Visit) -> Iterator[Stop]:
    """Each page with a name; `visit` opens a browser that knows nobody."""
    for part in (_strangers, _members, _logins, _requesters, _agents, _owners, _auditors):
        yield from part(site, visit)


def _strangers(site: Site, visit: Visit) -> Iterator[Stop]:
    page = visit()
    page.goto("/sign-in")
    yield "sign-in", page
    _press(page, SEND)
    yield "sign-in-wrong", page
    page.goto("/nowhere")
    yield "problem-404", page
    page.goto("/tickets/new")
    yield "request-new", page
    page.goto("/login/?handover=" + "x" * 43)
    yield "login-ended", page


def _members(site: Site, visit: Visit) -> Iterator[Stop]:
    free = a_person(site, a_workspace(site), bound=False)
    page = let_in(site, visit(), free, "/settings")
    yield "settings-not-bound", page
    page.goto("/policy")
    yield "problem-403", page
    page.goto("/settings/mfa/bind")
    yield "bind-mailbox", page
    _press(page, SEND)
    yield "bind-mailed", page
    _send(page, mailed_code(site, free.email))
    yield "bind-scan", page
    _send(page, "12345")
    yield "bind-scan-wrong", page
    bound = a_person(site, a_workspace(site))
    page = let_in(site, visit(), bound, "/settings")
    yield "settings-bound", page
    page.goto("/settings/mfa/unbind")
    yield "unbind", page
    page.goto("/settings/mfa/recovery-codes")
    yield "recovery-codes-renew", page
    _send(page, bound.code())
    yield "recovery-codes", page


def _logins(site: Site, visit: Visit) -> Iterator[Stop]:
    place = a_workspace(site, enforced=True)
    yield from _code(site, visit, a_person(site, place))
    page = _arrive(site, visit, a_person(site, place, bound=False))
    yield "login-bind", page
    later = a_workspace(site)
    until = datetime.now(UTC) + timedelta(days=9)
    site.do(SetPolicy(workspace_id=later, mode="enforced", grace_until=until))
    yield "login-grace", _arrive(site, visit, a_person(site, later, bound=False))


def _code(site: Site, visit: Visit, person: Person) -> Iterator[Stop]:
    page = _arrive(site, visit, person)
    yield "login-code", page
    _send(page, person.wrong_code())
    yield "login-code-refused", page
    page.goto("/login/recovery")
    yield "login-recovery", page
    page.goto("/login/ticket")
    yield "login-request", page
    refuse_codes(site, a_login(site, person), person, 4)
    page.goto("/login/")
    yield "login-locked", page


def _requesters(site: Site, visit: Visit) -> Iterator[Stop]:
    person = a_person(site, a_workspace(site))
    page = visit()
    page.goto("/tickets/new")
    page.fill("#description", "It fell into the lake.")
    page.fill("#email", person.email)
    _press(page, SEND)
    yield "request-mailed", page
    _send(page, mailed_code(site, person.email))
    yield "request-status", page
    page.goto(mailed_link(site, person.email))
    yield "request-cancel", page


def _agents(site: Site, visit: Visit) -> Iterator[Stop]:
    agent = a_person(site, "staff", role="support")
    asking = a_person(site, a_workspace(site, enforced=True))
    filed = a_request(site, asking, refused=1)
    page = let_in(site, visit(), agent, "/support/tickets")
    yield "agents-queue", page
    page.goto("/support/tickets?show=mine")
    yield "agents-queue-empty", page
    page.goto(f"/support/tickets/{filed.id}")
    yield "agents-ticket", page
    _press(page, SEND)
    yield "agents-ticket-claimed", page
    _press(page, "form[action$=approve] button")
    yield "agents-ticket-wrong", page


def _owners(site: Site, visit: Visit) -> Iterator[Stop]:
    place = a_workspace(site, name="Workshop")
    a_crowd(site, place, bound=67, free=12)
    page = let_in(site, visit(), a_person(site, place, role="owner"), "/policy")
    yield "owner-policy", page
    page.goto("/policy/preview?mode=enforced")
    yield "owner-policy-preview", page
    _send(page, "")
    yield "owner-policy-preview-wrong", page
    site.do(SetPolicy(workspace_id=place, mode="enforced"))
    page.goto("/coverage?state=overdue")
    yield "owner-coverage", page
    page.goto("/audit")
    yield "owner-audit", page


def _auditors(site: Site, visit: Visit) -> Iterator[Stop]:
    person = a_person(site, a_workspace(site))
    a_request(site, person, refused=1)
    page = let_in(site, visit(), a_person(site, "staff", role="auditor"), "/audit")
    yield "audit", page
    page.goto(f"/audit?member_id={person.id}&type=mfa.code_rejected")
    yield "audit-filtered", page
    _press(page, "table.audit tbody a")
    yield "audit-event", page
    page.goto("/audit?since=yesterday")
    yield "audit-wrong", page
    then = (datetime.now(UTC) - BEFORE - timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M")
    page.goto(f"/audit/as-of?workspace_id={person.workspace_id}&at={then}")
    yield "audit-as-of", page


def _arrive(site: Site, visit: Visit, person: Person) -> Page:
    """At the hosted login, handed over by the host."""
    page = visit()
    opened: dict[str, Any] = a_login(site, person)
    page.goto(opened["page"])
    return page


def _press(page: Page, selector: str) -> None:
    with page.expect_navigation():
        page.locator(selector).first.click()


def _send(page: Page, text: str) -> None:
    page.fill("#code", text)
    with page.expect_navigation():
        page.press("#code", "Enter")
