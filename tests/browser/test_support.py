"""The browser tests' own parts work."""

import segno

from tests.browser.conftest import Visitor
from tests.browser.support.looking import assert_accessible, assert_fits, read_qr
from tests.browser.support.people import a_person, a_workspace
from tests.browser.support.site import Site


def test_a_person_has_codes(site: Site) -> None:
    person = a_person(site, a_workspace(site, enforced=True))
    body = {"workspace_id": person.workspace_id, "member_id": person.id}
    opened = site.call("/v1/logins", token=site.host_token, body=body)
    assert opened["state"] == "code_required"
    path = f"/v1/logins/{opened['login_id']}/code"
    granted = site.call(path, token=opened["login_token"], body={"code": person.code()})
    assert granted["state"] == "granted"


def test_pages_are_looked_at(visitor: Visitor) -> None:
    page = visitor(narrow=True)
    page.set_content(segno.make("otpauth://totp/x").svg_inline(scale=8))
    assert read_qr(page) == "otpauth://totp/x"
    page.set_content("<html lang=en><title>T</title><main><h1>T</h1></main>")
    assert_accessible(page)
    assert_fits(page)
