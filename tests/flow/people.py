"""What people do with a running Twinlock, each step over HTTP and by mail."""

import secrets
from dataclasses import dataclass, field
from typing import Any

from tests.flow.authenticator import Authenticator, scan
from tests.flow.client import Reply
from tests.flow.installation import Installation
from tests.flow.postbox import EIGHT_SIGNS, SIX_DIGITS


@dataclass
class Person:
    """A member, with what it carries about."""

    id: str
    workspace_id: str
    email: str
    phone: Authenticator = field(repr=False)
    recovery_codes: list[str] = field(default_factory=list)
    mailed: list[str] = field(default_factory=list)

    @property
    def mfa(self) -> str:
        """Where its second factor is."""
        return f"/v1/members/{self.id}/mfa"


NO_PHONE = Authenticator("otpauth://totp/none?secret=none")


def a_workspace(here: Installation, *, enforced: bool = False) -> str:
    """A new workspace."""
    id_ = f"w-{secrets.token_hex(4)}"
    here.as_host("PUT", f"/v1/workspaces/{id_}", {"name": "A workspace"})
    if enforced:
        enforce(here, id_)
    return id_


def enforce(here: Installation, workspace_id: str) -> Reply:
    """The host enforces the policy."""
    return here.as_host("PUT", f"/v1/workspaces/{workspace_id}/mfa-policy", {"mode": "enforced"})


def a_member(
    here: Installation,
    workspace_id: str,
    role: str = "member",
    *,
    email: str | None = None,
    name: str = "Somebody",
) -> Person:
    """A new member of a workspace."""
    id_ = f"m-{secrets.token_hex(4)}"
    person = Person(id_, workspace_id, email or f"{id_}@example.org", NO_PHONE)
    join(here, person, workspace_id, role, name)
    return person


def join(
    here: Installation,
    person: Person,
    workspace_id: str,
    role: str = "member",
    name: str = "Somebody",
) -> None:
    """Make a person a member of a workspace."""
    path = f"/v1/workspaces/{workspace_id}/members/{person.id}"
    here.as_host("PUT", path, {"email": person.email, "name": name, "role": role})


def log_in(here: Installation, person: Person, workspace_id: str | None = None) -> dict[str, Any]:
    """The password was right: the host opens a login."""
    body = {"workspace_id": workspace_id or person.workspace_id, "member_id": person.id}
    opened: dict[str, Any] = here.as_host("POST", "/v1/logins", body).body
    return opened


def enter(here: Installation, login: dict[str, Any], **proof: str) -> Reply:
    """Give a code, or a recovery code, at a login."""
    return here.client.post(f"/v1/logins/{login['login_id']}/code", login["login_token"], proof)


def pass_with_code(here: Installation, person: Person) -> str:
    """Log in with a code."""
    granted = enter(here, log_in(here, person), code=person.phone.code())
    assert granted.status == 200, granted.raw
    return str(granted.body["pass"])


def confirm_mailbox(here: Installation, person: Person, token: str) -> str:
    """Ask for the mailed code of an enrolment, and read it in the mail."""
    seen = here.postbox.count
    sent = here.client.post(f"{person.mfa}/email-codes", token, {"purpose": "bind"})
    assert sent.status == 202, sent.raw
    person.mailed.append(here.postbox.wait(person.email, SIX_DIGITS, seen))
    return person.mailed[-1]


def enrol(here: Installation, person: Person, token: str, mailed: str) -> dict[str, Any]:
    """Open the enrolment with the mailed code, and scan its QR code."""
    opened = here.client.post(f"{person.mfa}/enrolment", token, {"email_code": mailed})
    assert opened.status == 201, opened.raw
    person.phone = Authenticator(scan(opened.body["qr_png"]))
    shown: dict[str, Any] = opened.body
    return shown


def bind(here: Installation, person: Person) -> str:
    """Bind an authenticator, forced or not; the new pass."""
    login = log_in(here, person)
    token = login["pass"] or login["login_token"]
    enrol(here, person, token, confirm_mailbox(here, person, token))
    bound = here.client.post(f"{person.mfa}/binding", token, {"code": person.phone.code()})
    assert bound.status == 201, bound.raw
    person.recovery_codes = bound.body["recovery_codes"]
    return str(bound.body["pass"])


def a_bound_member(here: Installation, workspace_id: str, role: str = "member") -> Person:
    """A new member with an authenticator."""
    person = a_member(here, workspace_id, role)
    bind(here, person)
    return person


def file_ticket(here: Installation, person: Person, login_token: str | None = None) -> Reply:
    """Ask for the removal of the authenticator with the code that was mailed."""
    who = {} if login_token else {"email": person.email}
    seen = here.postbox.count
    sent = here.client.post("/v1/tickets/email-codes", login_token, who)
    assert sent.status == 202, sent.raw
    person.mailed.append(here.postbox.wait(person.email, EIGHT_SIGNS, seen))
    words = {"title": "Lost phone", "description": "It fell\ninto a lake."}
    proof = {"challenge_id": sent.body["challenge_id"], "email_code": person.mailed[-1]}
    body = {"type": "unbind_mfa", **words, **who, **proof}
    filed = here.client.post("/v1/tickets", login_token, body)
    assert filed.status == 201, filed.raw
    return filed


def opens(here: Installation, token: str, workspace_id: str) -> bool:
    """Whether a pass opens a workspace now."""
    return here.client.get(f"/v1/access?workspace_id={workspace_id}", token).status == 200
