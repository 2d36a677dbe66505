"""Requests to unbind, filed over the API as a host's login page would."""

from dataclasses import dataclass
from typing import Any

from tests.browser.support.mails import mailed_code
from tests.browser.support.people import Person
from tests.browser.support.site import Site

TITLE, DESCRIPTION = "My phone is gone", "It fell into the lake.\nPlease take it off my account."


@dataclass(frozen=True)
class Filed:
    """A ticket and whose it is."""

    id: str
    token: str
    person: Person
    title: str


def a_request(
    site: Site, person: Person, *, proven: bool = True, title: str = TITLE, refused: int = 0
) -> Filed:
    """File a ticket; `proven` with the password's proof, after some refused codes."""
    token = _pending_login(site, person, refused) if proven else None
    asked = {} if proven else {"email": person.email}
    sent = site.call("/v1/tickets/email-codes", token=token, body=asked)
    body = {
        "type": "unbind_mfa",
        "title": title,
        "description": DESCRIPTION,
        "challenge_id": sent["challenge_id"],
        "email_code": mailed_code(site, person.email),
        **asked,
    }
    filed = site.call("/v1/tickets", token=token, body=body)
    site.settle()
    return Filed(filed["ticket_id"], filed["ticket_token"], person, title)


def a_login(site: Site, person: Person) -> dict[str, Any]:
    """A pending login of the person, as the host gets it."""
    body = {"workspace_id": person.workspace_id, "member_id": person.id}
    return site.call("/v1/logins", token=site.host_token, body=body)


def refuse_codes(site: Site, login: dict[str, Any], person: Person, times: int) -> None:
    """Let so many wrong codes be refused."""
    for _ in range(times):
        path = f"/v1/logins/{login['login_id']}/code"
        site.refused(path, token=login["login_token"], body={"code": person.wrong_code()})
    site.settle()


def _pending_login(site: Site, person: Person, refused: int) -> str:
    login = a_login(site, person)
    refuse_codes(site, login, person, refused)
    return str(login["login_token"])
