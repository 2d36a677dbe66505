"""What agents do: the queue, the evidence, and decisions that leave a reason (UX 19)."""

import secrets
import socket
import time
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import Page, expect

from api.pages.browsers import MEMBER
from commands.cancel_ticket import CancelTicket
from commands.dispatch import run
from commands.put_member import PutMember
from commands.revoke_sessions import RevokeSessions
from commands.secrets import Proof
from commands.unbind_mfa import UnbindMFA
from domain.facts import Actor
from domain.member_mfa import MemberMFA
from domain.unbind_ticket import UnbindTicket
from tests.browser.conftest import Visitor
from tests.browser.support.entering import let_in, sign_in
from tests.browser.support.mails import mail_about
from tests.browser.support.people import Person, a_person, a_workspace
from tests.browser.support.requests import Filed, a_request
from tests.browser.support.site import Site
from tests.browser.test_sessions import cookie


@pytest.fixture(scope="module")
def agent(site: Site) -> Person:
    """An agent of the staff workspace."""
    return a_person(site, "staff", role="support")


@pytest.fixture(scope="module")
def colleague(site: Site) -> Person:
    """Another one."""
    return a_person(site, "staff", role="support")


@pytest.fixture
def filed(site: Site) -> Filed:
    """A request whose first factor is proven."""
    person = a_person(site, a_workspace(site, enforced=True))
    return a_request(site, person, title=f"Lost phone {secrets.token_hex(3)}", refused=2)


def open_ticket(site: Site, page: Page, who: Person, filed: Filed) -> Page:
    return let_in(site, page, who, f"/support/tickets/{filed.id}")


def is_bound(site: Site, person: Person) -> bool:
    return site.twinlock.store.load(MemberMFA, person.id).bound


def test_an_agent_signs_in_and_approves_from_start_to_end(
    site: Site, page: Page, agent: Person, filed: Filed
) -> None:
    """UX 19: an agent signs in with MFA, claims, reads the evidence and approves with a reason."""
    sign_in(site, page, agent, "/support/tickets")
    page.goto("/support/tickets")
    page.get_by_role("link", name=filed.title).click()
    page.get_by_role("button", name="Claim this ticket").click()
    expect(page.get_by_role("status")).to_contain_text("yours")
    page.get_by_label("Reason for approving").fill("Called back under the number on file.")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("status")).to_contain_text("The authenticator is off")
    expect(page.locator("main .state").first).to_have_text("Approved")
    assert not is_bound(site, filed.person)
    assert "Called back" in mail_about(site, filed.person.email, "Called back")


def test_the_queue_is_sorted_by_age_and_filtered(
    site: Site, page: Page, agent: Person, colleague: Person
) -> None:
    """UX 19: the queue sorts by age and filters open and mine."""
    workspace = a_workspace(site)
    titles = [f"Request {number} {secrets.token_hex(3)}" for number in range(3)]
    filed = [a_request(site, a_person(site, workspace), title=title) for title in titles]
    let_in(site, page, agent, "/support/tickets")
    shown = page.locator("tbody th").all_inner_texts()
    assert [title for title in shown if title in titles] == titles
    open_ticket(site, page, agent, filed[1])
    page.get_by_role("button", name="Claim this ticket").click()
    page.goto("/support/tickets?show=mine")
    assert page.locator("tbody th").all_inner_texts() == [titles[1]]
    expect(page.get_by_role("link", name="Mine")).to_have_attribute("aria-current", "page")
    page.get_by_label("Reason for rejecting")
    open_ticket(site, page, agent, filed[1])
    page.get_by_label("Reason for rejecting").fill("The caller did not know the account.")
    page.get_by_role("button", name="Reject").click()
    page.goto("/support/tickets?show=mine")
    expect(page.locator("main .empty")).to_be_visible()
    page.goto("/support/tickets")
    assert titles[1] not in page.locator("tbody th").all_inner_texts()
    assert is_bound(site, filed[1].person)


def test_a_mailbox_is_not_taken_for_the_one_that_was_proven(
    site: Site, page: Page, agent: Person, filed: Filed
) -> None:
    """UX 19: the address was changed between the request and the look at it."""
    person = filed.person
    moved = PutMember(
        workspace_id=person.workspace_id,
        member_id=person.id,
        email=f"new-{secrets.token_hex(4)}@example.org",
        name=person.name,
        role=person.role,
    )
    site.do(moved)
    open_ticket(site, page, agent, filed)
    evidence = page.get_by_role("region", name="Evidence")
    expect(evidence).to_contain_text("A code mailed to the address of that time was entered")
    expect(evidence).to_contain_text("Address changed")
    expect(evidence).not_to_contain_text("n***@example.org")


def test_a_password_is_not_taken_for_the_one_that_was_proven(
    site: Site, page: Page, agent: Person, filed: Filed
) -> None:
    """UX 19: hosts end all sessions when a password changes, here between request and look."""
    open_ticket(site, page, agent, filed)
    evidence = page.get_by_role("region", name="Evidence")
    expect(evidence).not_to_contain_text("The password may be another by now.")
    site.do(RevokeSessions(member_id=filed.person.id))
    page.reload()
    expect(evidence).to_contain_text("The password may be another by now.")


def test_the_evidence_is_shown_and_no_secret(
    site: Site, page: Page, agent: Person, filed: Filed
) -> None:
    """UX 19: mailbox proven, first factor proven, recent failures; never a secret."""
    open_ticket(site, page, agent, filed)
    evidence = page.get_by_role("region", name="Evidence")
    for words in (
        "A code mailed to m***@example.com was entered",
        "from a login whose password was right",
        "2 in 24 hours, 2 in 30 days",
    ):
        expect(evidence).to_contain_text(words)
    content = page.content()
    assert filed.person.secret is not None
    for hidden in (filed.person.secret, filed.token, filed.person.email):
        assert hidden not in content


def test_a_request_without_the_first_factor_says_so(site: Site, page: Page, agent: Person) -> None:
    """UX 19: what was not proven is said just as plainly."""
    person = a_person(site, a_workspace(site))
    open_ticket(site, page, agent, a_request(site, person, proven=False))
    evidence = page.get_by_role("region", name="Evidence")
    expect(evidence).to_contain_text("Not proven")
    expect(page.get_by_role("region", name="Decide")).to_contain_text("0 of 2")


def test_approving_asks_for_a_reason(site: Site, page: Page, agent: Person, filed: Filed) -> None:
    """UX 19: without a reason nothing is approved, and the words stand at the field."""
    open_ticket(site, page, agent, filed)
    page.get_by_role("button", name="Claim this ticket").click()
    page.get_by_role("button", name="Approve").click()
    reason = page.get_by_label("Reason for approving")
    expect(reason).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("alert")).to_contain_text("Say why you approve")
    assert page.title().startswith("Error:")
    assert is_bound(site, filed.person)


def test_two_agents_approve_what_is_not_proven(
    site: Site, visitor: Visitor, agent: Person, colleague: Person
) -> None:
    """UX 19: the first approval changes nothing; another agent gives the second."""
    person = a_person(site, a_workspace(site))
    filed = a_request(site, person, proven=False)
    first, second = visitor(), visitor()
    open_ticket(site, first, agent, filed)
    why = "Two different agents have to approve, as the first factor is not proven."
    expect(first.locator("main")).to_contain_text(why)
    first.get_by_role("button", name="Claim this ticket").click()
    first.get_by_label("Reason for approving").fill("Knew the last invoice.")
    first.get_by_role("button", name="Approve").click()
    expect(first.locator("main .empty")).to_contain_text("Another agent has to approve too")
    assert is_bound(site, person)
    open_ticket(site, second, colleague, filed)
    expect(second.get_by_role("heading", name="Give the second approval")).to_be_visible()
    second.get_by_label("Reason for approving").fill("Seen in person.")
    second.get_by_role("button", name="Approve").click()
    expect(second.locator("main .state").first).to_have_text("Approved")
    expect(second.locator("main")).not_to_contain_text("Two different agents")
    assert not is_bound(site, person)


def test_two_agents_approve_for_an_owner(site: Site, page: Page, agent: Person) -> None:
    """UX 19: the page says why, though the first factor is proven."""
    person = a_person(site, a_workspace(site), role="owner")
    open_ticket(site, page, agent, a_request(site, person))
    why = "Two different agents have to approve, as the member is an owner or an agent."
    expect(page.locator("main")).to_contain_text(why)


def test_a_ticket_is_forwarded(
    site: Site, page: Page, agent: Person, colleague: Person, filed: Filed
) -> None:
    """UX 19: to a colleague, who then decides, or back to the queue."""
    open_ticket(site, page, agent, filed)
    page.get_by_role("button", name="Claim this ticket").click()
    page.get_by_label("Forward to").select_option(colleague.id)
    page.get_by_role("button", name="Forward").click()
    expect(page.get_by_role("status")).to_contain_text(colleague.id)
    expect(page.locator("main .empty")).to_contain_text("Another agent works on this ticket")


def test_a_ticket_goes_to_nobody_whose_id_cannot_be(
    site: Site, page: Page, agent: Person, filed: Filed
) -> None:
    """UX 26: something in the form is not as expected."""
    open_ticket(site, page, agent, filed)
    page.get_by_role("button", name="Claim this ticket").click()
    form: dict[str, str | float | bool] = {
        "csrf": page.locator("input[name=csrf]").first.input_value(),
        "to": "not an id",
    }
    answer = page.request.post(
        f"/support/tickets/{filed.id}/forward", form=form, headers={"Sec-Fetch-Site": "same-origin"}
    )
    assert (answer.status, "Request id" in answer.text()) == (422, True)


def test_a_stale_page_changes_nothing(
    site: Site, visitor: Visitor, agent: Person, colleague: Person, filed: Filed
) -> None:
    """UX 26: whoever comes second is told that something changed in the meantime."""
    first, second = visitor(), visitor()
    open_ticket(site, first, agent, filed)
    open_ticket(site, second, colleague, filed)
    first.get_by_role("button", name="Claim this ticket").click()
    with second.expect_response(lambda answer: answer.request.method == "POST") as answered:
        second.get_by_role("button", name="Claim this ticket").click()
    assert answered.value.status == 409
    expect(second.get_by_role("alert")).to_contain_text("This step no longer fits")
    expect(second.locator("main .empty")).to_contain_text("Another agent works on this ticket")


def test_a_reason_that_comes_too_late_is_not_lost(
    site: Site, visitor: Visitor, agent: Person, filed: Filed
) -> None:
    """UX 26: the requester cancelled meanwhile; what was typed stands on the page."""
    page = open_ticket(site, visitor(), agent, filed)
    page.get_by_role("button", name="Claim this ticket").click()
    page.get_by_label("Reason for approving").fill("Called back.\nVoice known.")
    context = site.twinlock.context(Actor("member", filed.person.id), "r")
    run(CancelTicket(ticket_id=filed.id), context, site.twinlock.desk)
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("alert")).to_contain_text("This step no longer fits")
    expect(page.locator("main .empty")).to_have_text("The ticket is closed.")
    expect(page.locator("main")).to_contain_text("You had written:")
    expect(page.locator("main")).to_contain_text("Voice known.")
    assert is_bound(site, filed.person)


def test_a_reason_is_not_lost_where_the_ticket_is_in_the_queue_again(
    site: Site, page: Page, visitor: Visitor, agent: Person, filed: Filed
) -> None:
    """UX 26: the agent gave it back in another window; what was typed stands on the page."""
    open_ticket(site, page, agent, filed)
    page.get_by_role("button", name="Claim this ticket").click()
    page.get_by_label("Reason for approving").fill("Voice known.")
    other = open_ticket(site, visitor(), agent, filed)
    other.get_by_role("button", name="Forward").click()
    expect(other.get_by_role("status")).to_contain_text("in the queue again")
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("alert")).to_contain_text("This step no longer fits")
    expect(page.get_by_role("button", name="Claim this ticket")).to_be_visible()
    expect(page.locator("main")).to_contain_text("You had written:")
    expect(page.locator("main")).to_contain_text("Voice known.")


def test_an_authenticator_that_is_gone_meanwhile_is_told_of(
    site: Site, page: Page, agent: Person, filed: Filed
) -> None:
    """UX 26: its own words, with the status that the API gives."""
    open_ticket(site, page, agent, filed)
    page.get_by_role("button", name="Claim this ticket").click()
    page.get_by_label("Reason for approving").fill("Voice known.")
    person = filed.person
    proof = Proof(recovery_code=person.recovery_codes[0])
    site.do(UnbindMFA(member_id=person.id, workspace_id=person.workspace_id, proof=proof))
    with page.expect_response(lambda answer: answer.request.method == "POST") as answered:
        page.get_by_role("button", name="Approve").click()
    assert answered.value.status == 409
    expect(page.get_by_role("alert")).to_contain_text("No authenticator is bound")


@pytest.mark.parametrize("verb", ["claim", "approve", "reject", "forward"])
def test_nobody_works_the_own_request(site: Site, page: Page, verb: str) -> None:
    """UX 26: not allowed, whatever the form says, and with a request id."""
    requester = a_person(site, "staff", role="support")
    filed = a_request(site, requester)
    open_ticket(site, page, requester, filed)
    form: dict[str, str | float | bool] = {
        "csrf": page.locator("input[name=csrf]").first.input_value(),
        f"{verb}_reason": "It is me.",
    }
    head = site.twinlock.store.head()
    answer = page.request.post(
        f"/support/tickets/{filed.id}/{verb}", form=form, headers={"Sec-Fetch-Site": "same-origin"}
    )
    assert (answer.status, "Request id" in answer.text()) == (403, True)
    assert site.twinlock.store.head() == head


def test_what_another_agent_works_on_is_forbidden_as_it_is_over_the_api(
    site: Site, page: Page, visitor: Visitor, agent: Person, colleague: Person, filed: Filed
) -> None:
    """UX 26: forwarded in another window, while a reason was typed here."""
    open_ticket(site, page, agent, filed)
    page.get_by_role("button", name="Claim this ticket").click()
    page.get_by_label("Reason for rejecting").fill("Voice unknown.")
    other = open_ticket(site, visitor(), agent, filed)
    other.get_by_label("Forward to").select_option(colleague.id)
    other.get_by_role("button", name="Forward").click()
    expect(other.get_by_role("status")).to_contain_text(colleague.id)
    with page.expect_response(lambda answer: answer.request.method == "POST") as answered:
        page.get_by_role("button", name="Reject").click()
    assert answered.value.status == 403
    expect(page.locator("main .empty")).to_have_text("Another agent works on this ticket.")
    expect(page.locator("main")).to_contain_text("Voice unknown.")


def test_the_keyboard_is_enough(site: Site, page: Page, agent: Person, filed: Filed) -> None:
    """UX 19, 23: from the queue to the decision without a mouse."""
    let_in(site, page, agent, "/support/tickets")
    press_until(page, filed.title)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/{filed.id}")
    press_until(page, "Claim this ticket")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_be_visible()
    press_until(page, "approve_reason")
    page.keyboard.type("Reached at the desk.")
    press_until(page, "Approve")
    page.keyboard.press("Enter")
    expect(page.locator("main .state").first).to_have_text("Approved")


def test_without_scripts_tickets_are_worked_too(
    site: Site, visitor: Visitor, agent: Person, filed: Filed
) -> None:
    """UX 23: JavaScript off."""
    page = open_ticket(site, visitor(scripts=False), agent, filed)
    page.get_by_role("button", name="Claim this ticket").click()
    page.get_by_label("Reason for rejecting").fill("Not the member.")
    page.get_by_role("button", name="Reject").click()
    expect(page.locator("main .state").first).to_have_text("Rejected")


def test_members_see_no_queue(site: Site, page: Page, filed: Filed) -> None:
    """UX 26: whoever is no agent is told so, with a request id."""
    let_in(site, page, a_person(site))
    answer = page.goto("/support/tickets")
    assert answer is not None
    assert answer.status == 403
    expect(page.locator("main code")).not_to_be_empty()


def press_until(page: Page, what: str) -> None:
    """Press Tab until the focus is on the thing of that name or text."""
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "() => { const e = document.activeElement; return e.name || e.innerText || '' }"
        )
        if focused.strip() == what:
            return
    raise AssertionError(f"the keyboard does not reach {what}")


def test_an_agents_own_request_shows_no_agent(site: Site, page: Page, agent: Person) -> None:
    """UX 19: a requester sees no agent, whatever else the requester is."""
    requester = a_person(site, "staff", role="support")
    filed = a_request(site, requester, title=f"Lost phone {secrets.token_hex(3)}")
    open_ticket(site, page, agent, filed)
    page.get_by_role("button", name="Claim this ticket").click()
    expect(page.get_by_role("status")).to_contain_text("yours")
    let_in(site, page, requester, "/support/tickets")
    line = page.get_by_role("row").filter(has_text=filed.title)
    expect(line).to_have_count(1)
    assert agent.id not in line.inner_html()
    page.goto(f"/support/tickets/{filed.id}")
    expect(page.get_by_role("region", name="Evidence")).to_contain_text(requester.id)
    assert agent.id not in page.content()


def test_an_agent_who_is_signed_out_while_the_form_is_on_its_way_claims_nothing(
    site: Site, page: Page, filed: Filed
) -> None:
    """UX 25: whoever holds a form back is judged when it is all there."""
    agent = a_person(site, "staff", role="support")
    open_ticket(site, page, agent, filed)
    form = f"csrf={quote(page.locator('input[name=csrf]').first.input_value(), safe='')}".encode()
    there = urlsplit(site.url)
    with socket.create_connection((there.hostname or "", there.port or 80), timeout=30) as held:
        held.sendall(
            f"POST /support/tickets/{filed.id}/claim HTTP/1.1\r\nHost: {there.netloc}\r\n"
            f"Cookie: {MEMBER}={cookie(page.context, MEMBER)}\r\nConnection: close\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\nSec-Fetch-Site: same-origin\r\n"
            f"Content-Length: {len(form)}\r\n\r\n".encode()
        )
        time.sleep(1)
        site.do(RevokeSessions(member_id=agent.id))
        held.sendall(form)
        status = held.recv(12).decode()
    assert status in ("HTTP/1.1 401", "HTTP/1.1 303"), status
    assert site.twinlock.store.load(UnbindTicket, filed.id).assignee is None
