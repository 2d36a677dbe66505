"""Ways into the site: the front door with password and code, and a key for other tests' sake."""

import secrets
from datetime import UTC, datetime, timedelta

from playwright.sync_api import Page

from api.backend import Session
from api.pages.browsers import MEMBER
from domain.member_mfa import MemberMFA
from tests.browser.support.people import Person
from tests.browser.support.site import Site

PASSWORD = "correct horse battery staple"


def give_password(site: Site, person: Person) -> None:
    """Let the person sign in at the demonstration realm."""
    site.twinlock.passwords.put(
        member_id=person.id,
        email=person.email,
        workspace_id=person.workspace_id,
        password=PASSWORD,
    )


def sign_in(site: Site, page: Page, person: Person, to: str = "/") -> None:
    """Enter by the front door: password, then a code where the person has an authenticator."""
    give_password(site, person)
    page.goto(f"/sign-in?next={to}")
    page.get_by_label("Member id or address").fill(person.id)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    if person.secret is not None:
        page.locator("#code").fill(person.code())
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: "/login" not in url and "/sign-in" not in url)


def let_in(site: Site, page: Page, person: Person, to: str | None = None) -> Page:
    """Be signed in with a code a minute ago, for tests of what comes after; then go to `to`."""
    at = datetime.now(UTC)
    member = site.twinlock.store.load(MemberMFA, person.id)
    proofs = ["pwd", "otp", "mfa"] if person.secret else ["pwd"]
    session = Session(
        id=secrets.token_hex(12),
        kind="member",
        member_id=person.id,
        claims={
            "workspace_id": person.workspace_id,
            "amr": proofs,
            "epoch": member.epoch,
            "auth_time": (at - timedelta(minutes=1)).isoformat(),
        },
        label="Chrome · Linux",
        created_at=at,
        seen_at=at,
        expires_at=at + timedelta(hours=1),
    )
    token = secrets.token_urlsafe(32)
    site.twinlock.sessions.open(session, token)
    secure = site.url.replace("http:", "https:")
    cookie = {"name": MEMBER, "value": token, "url": secure, "httpOnly": True, "secure": True}
    page.context.add_cookies([cookie])  # type: ignore[list-item]
    if to is not None:
        page.goto(to)
    return page
