"""What owners do: the policy with its preview (UX 20), and coverage (UX 21)."""

import csv
import io
import re
import secrets
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from commands.put_member import PutMember
from commands.set_policy import SetPolicy
from domain.workspace import Workspace
from tests.browser.conftest import Visitor
from tests.browser.support.entering import let_in, sign_in
from tests.browser.support.mails import mail_about
from tests.browser.support.people import Person, a_crowd, a_person, a_workspace
from tests.browser.support.requests import a_login, refuse_codes
from tests.browser.support.site import Site


@pytest.fixture
def workspace(site: Site) -> str:
    """A workspace of this test's own."""
    return a_workspace(site, name="Workshop")


@pytest.fixture
def owner(site: Site, workspace: str) -> Person:
    """Its owner, bound."""
    return a_person(site, workspace, role="owner")


def policy_of(site: Site, workspace: str) -> Workspace:
    return site.twinlock.store.load(Workspace, workspace)


def test_an_owner_previews_by_name_and_enforces_with_a_code(
    site: Site, page: Page, workspace: str, owner: Person
) -> None:
    """UX 20: "12 of 80 members will be stopped" with their names, before anything is saved."""
    names = a_crowd(site, workspace, bound=67, free=12)
    sign_in(site, page, owner, "/policy")
    page.goto("/policy")
    expect(page.locator("main .state").first).to_have_text("Off")
    page.get_by_label("Enforced").check()
    page.get_by_role("button", name="See who would be stopped").click()
    expect(page.locator("h1")).to_have_text("12 of 80 members will be stopped")
    listed = page.get_by_role("region", name="Members without MFA").inner_text()
    assert all(name in listed for name in names)
    assert policy_of(site, workspace).mode == "off"
    page.locator("#code").fill(owner.code())
    page.get_by_role("button", name="Enforce MFA").click()
    expect(page.get_by_role("status")).to_have_text("MFA is enforced.")
    expect(page.locator("main .state").first).to_have_text("Enforced")
    assert policy_of(site, workspace).mode == "enforced"
    assert mail_about(site, owner.email, "Workshop")


def test_a_grace_date_is_said_before_it_is_set(
    site: Site, page: Page, workspace: str, owner: Person
) -> None:
    """UX 20: the grace date is part of the preview, and of what is saved."""
    day = (datetime.now(UTC) + timedelta(days=30)).date()
    let_in(site, page, owner, "/policy")
    page.get_by_label("Enforced").check()
    page.get_by_label("Grace until").fill(day.isoformat())
    page.keyboard.press("Enter")
    consequence = page.get_by_text("they may skip binding an authenticator")
    expect(consequence).to_contain_text(
        re.compile(rf"Until {day.day} \w+ {day.year}, 00:00 UTC they")
    )
    page.locator("#code").fill(owner.code())
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("Members without MFA may still enter until")
    grace_until = policy_of(site, workspace).grace_until
    assert grace_until is not None
    assert grace_until.date() == day


def at_policy(site: Site, page: Page, workspace: str, owner: Person, until: datetime) -> str:
    """Open the policy page where grace ends then; answers the day in its field."""
    command = SetPolicy(workspace_id=workspace, mode="enforced", grace_until=until)
    site.do(command, at=min(until - timedelta(minutes=1), datetime.now(UTC)))
    let_in(site, page, owner, "/policy")
    return page.get_by_label("Grace until (UTC)").input_value()


def test_an_unchanged_form_keeps_the_time_of_day_at_which_grace_ends(
    site: Site, page: Page, workspace: str, owner: Person
) -> None:
    """UX 20: what is previewed and saved is what stands beside the field."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    until = midnight + timedelta(days=5, hours=22, minutes=30)
    assert at_policy(site, page, workspace, owner, until) == until.date().isoformat()
    said = f"{until.day} {until:%b %Y}, 22:30 UTC"
    expect(page.locator("#grace-hint")).to_contain_text(f"Left as it is, it stays until {said}.")
    page.get_by_role("button", name="See who would be stopped").click()
    expect(page.locator("main")).to_contain_text(f"Until {said} they may skip")
    page.locator("#code").fill(owner.code())
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("MFA is enforced.")
    assert policy_of(site, workspace).grace_until == until


def test_grace_that_has_ended_is_not_offered_again(
    site: Site, page: Page, workspace: str, owner: Person
) -> None:
    """UX 20: the unchanged form can be sent."""
    ended = datetime.now(UTC) - timedelta(minutes=5)
    assert at_policy(site, page, workspace, owner, ended) == ""
    page.get_by_role("button", name="See who would be stopped").click()
    expect(page.locator("h1")).to_contain_text("will be stopped")


def test_a_past_grace_date_is_refused_at_its_field(site: Site, page: Page, owner: Person) -> None:
    """UX 20: the words stand at the field."""
    let_in(site, page, owner, "/policy/preview?mode=enforced&grace_until=2020-01-01")
    expect(page.get_by_label("Grace until")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("alert")).to_contain_text("in the future")


def test_a_day_that_begins_while_the_preview_is_read_is_refused_at_its_field(
    site: Site, page: Page, workspace: str, owner: Person
) -> None:
    """UX 20: the code is not spent, and not blamed."""
    let_in(site, page, owner, "/policy/preview?mode=enforced&grace_until=2999-01-01")
    day = "document.querySelector('[name=grace_until]').value = '2020-01-01'"
    page.evaluate(day)
    page.locator("#code").fill(owner.code())
    page.keyboard.press("Enter")
    expect(page.get_by_label("Grace until")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("alert")).to_contain_text("in the future")
    assert policy_of(site, workspace).mode == "off"


def test_a_wrong_code_changes_nothing(
    site: Site, page: Page, workspace: str, owner: Person
) -> None:
    """UX 12, 20: the refusal is said on the preview, with the tries left."""
    let_in(site, page, owner, "/policy/preview?mode=enforced")
    page.locator("#code").fill(owner.wrong_code())
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("You have 4 tries left")
    expect(page.locator("h1")).to_contain_text("will be stopped")
    page.locator("#code").fill("12")
    page.keyboard.press("Enter")
    expect(page.locator("#code")).to_have_attribute("aria-invalid", "true")
    assert policy_of(site, workspace).mode == "off"


def test_an_owner_who_is_not_bound_cannot_set_a_policy(
    site: Site, page: Page, workspace: str
) -> None:
    """UX 20: an owner without an authenticator is told why not."""
    unbound = a_person(site, workspace, role="owner", bound=False)
    let_in(site, page, unbound, "/policy/preview?mode=enforced")
    page.locator("#code").fill("123456")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Bind one in the security settings first.")
    assert policy_of(site, workspace).mode == "off"


def test_switching_off_stops_nobody_and_asks_for_a_code(
    site: Site, page: Page, workspace: str, owner: Person
) -> None:
    """UX 20: Off is previewed and confirmed as well."""
    site.do(SetPolicy(workspace_id=workspace, mode="enforced"))
    let_in(site, page, owner, "/policy")
    page.get_by_label("Off").check()
    page.get_by_role("button", name="See who would be stopped").click()
    expect(page.locator("h1")).to_have_text("No member will be stopped")
    page.locator("#code").fill(owner.code())
    page.get_by_role("button", name="Switch MFA off").click()
    expect(page.locator("main .state").first).to_have_text("Off")


@pytest.fixture
def covered(site: Site, workspace: str, owner: Person) -> list[str]:
    """Eight bound members besides the owner, one of them locked, and three who are overdue."""
    names = a_crowd(site, workspace, bound=7, free=3)
    locked = a_person(site, workspace)
    refuse_codes(site, a_login(site, locked), locked, 5)
    site.do(SetPolicy(workspace_id=workspace, mode="enforced"))
    return names


def test_coverage_says_share_denominator_and_time(
    site: Site, page: Page, owner: Person, covered: list[str]
) -> None:
    """UX 21: the bound share with its denominator and as-of time; the chart has a table twin."""
    let_in(site, page, owner, "/coverage")
    expect(page.locator(".figure")).to_have_text("75% 9 of 12 members are bound")
    expect(page.locator("main")).to_contain_text("As of")
    chart = page.get_by_role("img", name="Members by state")
    said = chart.locator("desc").text_content()
    page.get_by_text("The chart as a table").click()
    twin = [row.inner_text().split("\t") for row in page.locator("details tbody tr").all()]
    assert twin == [
        ["Bound", "9", "75%"],
        ["In grace", "0", "0%"],
        ["Overdue", "3", "25%"],
        ["Locked", "1", "8.3%"],
    ]
    assert said == "Of 12 members: Bound: 9; In grace: 0; Overdue: 3; Locked: 1"


@pytest.mark.parametrize(
    ("chip", "state", "count"),
    [
        ("Bound", "bound", 9),
        ("In grace", "grace", 0),
        ("Overdue", "overdue", 3),
        ("Locked", "locked", 1),
    ],
)
def test_chips_are_query_strings(
    site: Site, page: Page, owner: Person, covered: list[str], chip: str, state: str, count: int
) -> None:
    """UX 21: bound, grace, overdue, locked; the address says which."""
    let_in(site, page, owner, "/coverage")
    page.get_by_role("navigation", name="Which members").get_by_role("link", name=chip).click()
    assert page.url.endswith(f"/coverage?state={state}")
    expect(page.locator("table.stacks tbody tr")).to_have_count(count)
    expect(page.locator("[aria-current=page]", has_text=chip)).to_be_visible()


def test_the_csv_holds_the_filtered_set(
    site: Site, page: Page, owner: Person, covered: list[str]
) -> None:
    """UX 21: CSV of exactly the filtered set."""
    let_in(site, page, owner, "/coverage?state=overdue")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download these as CSV").click()
    assert waiting.value.suggested_filename == "coverage-overdue.csv"
    rows = list(csv.DictReader(io.StringIO(waiting.value.path().read_text())))
    assert len(rows) == 3
    assert {row["status"] for row in rows} == {"not_bound"}


def test_no_cell_of_the_csv_is_a_formula(
    site: Site, page: Page, workspace: str, owner: Person
) -> None:
    """UX 21: an id that looks like a formula is text to every spreadsheet."""
    odd = f"-1.{secrets.token_hex(3)}"
    command = PutMember(
        workspace_id=workspace,
        member_id=odd,
        email=f"{secrets.token_hex(4)}@example.com",
        name="Odd",
        role="member",
    )
    site.do(command)
    let_in(site, page, owner, "/")
    text = page.request.get("/coverage.csv").text()
    assert f"'{odd}" in text
    assert not [line for line in text.splitlines() if line.startswith(("=", "+", "-", "@"))]


def test_without_scripts_owners_get_everything_done(
    site: Site, visitor: Visitor, workspace: str, owner: Person
) -> None:
    """UX 23: JavaScript off."""
    page = let_in(site, visitor(scripts=False), owner, "/policy")
    page.get_by_label("Enforced").check()
    page.get_by_role("button", name="See who would be stopped").click()
    page.locator("#code").fill(owner.code())
    page.get_by_role("button", name="Enforce MFA").click()
    expect(page.get_by_role("status")).to_have_text("MFA is enforced.")
    page.goto("/coverage")
    expect(page.locator(".figure")).to_contain_text("1 of 1 member is bound")


def test_other_members_see_none_of_it(site: Site, page: Page, workspace: str) -> None:
    """UX 26: a member is refused the owner's pages."""
    let_in(site, page, a_person(site, workspace))
    for address in ("/policy", "/coverage", "/coverage.csv", "/audit"):
        assert page.request.get(address).status == 403
