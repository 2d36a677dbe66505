"""What auditors do: the explorer, single events, exports and the past (UX 22)."""

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from commands.set_policy import SetPolicy
from projections import audit_trail
from projections.audit_trail import Filter
from tests.browser.conftest import Visitor
from tests.browser.support.entering import let_in, sign_in
from tests.browser.support.people import BEFORE, Person, a_crowd, a_person, a_workspace
from tests.browser.support.requests import a_login, a_request, refuse_codes
from tests.browser.support.site import Site

ROWS = "table.audit tbody tr"


@pytest.fixture(scope="module")
def auditor(site: Site) -> Person:
    """An auditor of the staff workspace."""
    return a_person(site, "staff", role="auditor")


@pytest.fixture(scope="module")
def member(site: Site) -> Person:
    """A member with some history: bound, refused twice, asking to unbind."""
    person = a_person(site, a_workspace(site, enforced=True))
    a_request(site, person, refused=2)
    return person


def positions(page: Page) -> list[int]:
    page.wait_for_load_state()  # a click waits for the next page's beginning only
    return [int(text) for text in page.locator(f"{ROWS} td:last-child").all_inner_texts()]


def recorded(site: Site, **wanted: str) -> list[int]:
    with site.twinlock.reads.connection() as connection:
        rows = audit_trail.page(connection, Filter(**wanted), limit=500)  # type: ignore[arg-type]
    return [row.position for row in rows]


def test_an_auditor_signs_in_and_reads_the_trail(
    site: Site, page: Page, auditor: Person, member: Person
) -> None:
    """UX 22: time (UTC and local), actor, action, subject, result and position; newest first."""
    sign_in(site, page, auditor)
    page.get_by_role("link", name="Audit").click()
    page.wait_for_load_state()
    heads = page.locator("table.audit thead th").all_inner_texts()
    assert set(heads) == {"Action", "Time", "Actor", "Subject", "Result", "Position"}
    shown = positions(page)
    assert shown == sorted(shown, reverse=True)
    time = page.locator(f"{ROWS} td[data-label=Time]").first
    expect(time).to_contain_text("UTC")
    expect(time).to_contain_text("your time")


def test_what_is_refused_is_marked(site: Site, page: Page, auditor: Person, member: Person) -> None:
    """UX 22: the result is a word, not only a colour."""
    let_in(site, page, auditor, f"/audit?member_id={member.id}&type=mfa.code_rejected")
    expect(page.locator(ROWS)).to_have_count(2)
    expect(page.locator(ROWS).first).to_contain_text("Refused")


def test_filters_are_chips_that_come_off_one_by_one(
    site: Site, page: Page, auditor: Person, member: Person
) -> None:
    """UX 22: filters mirrored as chips."""
    let_in(site, page, auditor, "/audit")
    page.get_by_text("Filter", exact=True).click()
    page.get_by_label("Member").fill(member.id)
    page.get_by_label("Action").select_option("mfa.bound")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator(ROWS)).to_have_count(1)
    chips = page.get_by_role("navigation", name="Filters in force")
    expect(chips.get_by_role("link")).to_have_count(3)
    chips.get_by_role("link", name="Action: MFA bound").click()
    assert positions(page) == recorded(site, member_id=member.id)[::-1]
    expect(chips.get_by_role("link")).to_have_count(1)
    page.get_by_text("Filter", exact=True).click()
    expect(page.get_by_label("Member")).to_have_value(member.id)


def test_an_impossible_filter_is_said(site: Site, page: Page, auditor: Person) -> None:
    """UX 11, 22: with the name of the filter that cannot be."""
    let_in(site, page, auditor, "/audit?since=yesterday")
    expect(page.get_by_role("alert")).to_contain_text("Since")
    expect(page.get_by_text("No event matches.")).to_have_count(0)


def test_cursor_addresses_are_stable(site: Site, page: Page, auditor: Person) -> None:
    """UX 22: an address of an older page shows the same events whatever happens later."""
    workspace = a_workspace(site)
    a_crowd(site, workspace, bound=30, free=0)
    let_in(site, page, auditor, f"/audit?workspace_id={workspace}")
    first = positions(page)
    page.get_by_role("link", name="Older").click()
    address, second = page.url, positions(page)
    assert re.search(rf"before={first[-1]}$", address)
    assert first + second == recorded(site, workspace_id=workspace)[::-1][: len(first + second)]
    a_person(site, workspace)
    page.goto(address)
    assert positions(page) == second
    page.get_by_role("link", name="Newer").click()
    assert positions(page) == first


def test_a_row_opens_the_whole_event(
    site: Site, page: Page, auditor: Person, member: Person
) -> None:
    """UX 22: with every field, and links to what it belongs to."""
    let_in(site, page, auditor, f"/audit?member_id={member.id}&type=ticket.submitted")
    page.locator(f"{ROWS} a").click()
    expect(page.locator("h1")).to_have_text("Ticket submitted")
    fields = page.get_by_role("region", name="The event's own fields")
    expect(fields).to_contain_text("first_factor_proven")
    belongs = page.get_by_role("region", name="What it belongs to")
    belongs.get_by_role("link", name=re.compile("^0")).click()
    assert "ticket_id=" in page.url
    assert positions(page)
    page.go_back()
    belongs.get_by_role("link", name=member.workspace_id).click()
    assert f"workspace_id={member.workspace_id}" in page.url


def test_exports_hold_exactly_what_is_filtered(
    site: Site, page: Page, auditor: Person, member: Person
) -> None:
    """UX 22: export of exactly what is filtered, in one form and then in the other."""
    let_in(site, page, auditor, f"/audit?member_id={member.id}")
    table = csv.DictReader(io.StringIO(downloaded(page, "CSV")))
    assert [int(row["position"]) for row in table] == recorded(site, member_id=member.id)
    lines = downloaded(page, "NDJSON").splitlines()
    assert [json.loads(line)["position"] for line in lines] == recorded(site, member_id=member.id)


def downloaded(page: Page, kind: str) -> str:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=kind, exact=True).click()
    return waiting.value.path().read_text()


def test_the_state_as_of_a_date_stands_beside_now(site: Site, page: Page, auditor: Person) -> None:
    """UX 22: "State as of" a date, with the difference to now."""
    workspace = a_workspace(site)
    a_person(site, workspace)
    a_person(site, workspace, bound=False)
    site.do(SetPolicy(workspace_id=workspace, mode="enforced"))
    then = datetime.now(UTC) - BEFORE + timedelta(minutes=2)
    let_in(site, page, auditor, f"/audit?workspace_id={workspace}")
    page.get_by_role("link", name="State as of a date").click()
    expect(page.get_by_label("or workspace")).to_have_value(workspace)
    page.get_by_label("Time (UTC)").fill(then.strftime("%Y-%m-%dT%H:%M"))
    page.get_by_role("button", name="Show").click()
    page.wait_for_load_state()
    lines = {
        line.locator("th").inner_text(): line.locator("td").all_inner_texts()
        for line in page.locator("table tbody tr").all()
    }
    assert lines["Policy"] == ["Off", "Enforced", "Changed"]
    assert lines["Members"] == ["2", "2", "None"]
    assert lines["Members overdue"] == ["0", "1", "+1"]
    page.get_by_role("link", name="The newest event that changed it").click()
    expect(page.locator("h1")).to_have_text("Policy enforced")


def test_a_members_past_is_told_too(
    site: Site, page: Page, auditor: Person, member: Person
) -> None:
    """UX 22: the state of a member; and a date in the future is refused at its field."""
    let_in(site, page, auditor, f"/audit/as-of?member_id={member.id}&at=2020-01-01T00:00")
    expect(page.locator("table tbody tr").first).to_contain_text("Bound")
    page.get_by_label("Time (UTC)").fill("2999-01-01T00:00")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_label("Time (UTC)")).to_have_attribute("aria-invalid", "true")


def test_an_owner_asks_for_a_members_past(site: Site, page: Page) -> None:
    """UX 11, 22: the own workspace that is filled in is in nobody's way, and words have fields."""
    workspace = a_workspace(site)
    owner, person = (a_person(site, workspace, role=role) for role in ("owner", "member"))
    let_in(site, page, owner, "/audit/as-of")
    expect(page.get_by_role("alert")).to_have_count(0)
    page.get_by_label("Member").fill(person.id)
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#at-wrong")).to_contain_text("Choose a day and a time.")
    page.get_by_label("Time (UTC)").fill("2020-01-01T00:00")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#about")).to_have_text(person.id)
    page.goto(f"/audit/as-of?member_id={person.id}&workspace_id=other&at=2020-01-01T00:00")
    expect(page.locator("#member_id-wrong")).to_contain_text("Name either")


def test_a_time_with_an_offset_is_shown_in_utc(site: Site, page: Page, auditor: Person) -> None:
    """UX 22: what the chip says is what the form holds, and what is filtered by."""
    let_in(site, page, auditor, "/audit?since=2026-01-01T02:00:00%2B02:00")
    expect(page.get_by_label("Since")).to_have_value("2026-01-01T00:00")
    expect(page.get_by_text("Since: 2026-01-01 00:00:00 UTC")).to_be_visible()
    page.goto(f"/audit/as-of?member_id={auditor.id}&at=2026-01-01T02:00:00%2B02:00")
    expect(page.get_by_label("Time (UTC)")).to_have_value("2026-01-01T00:00")


def test_an_owner_reads_its_own_workspace_alone(site: Site, page: Page, member: Person) -> None:
    """UX 22, 26: nothing of other workspaces, by filter, by position or by export."""
    own = a_workspace(site)
    let_in(site, page, a_person(site, own, role="owner"), "/audit")
    assert positions(page) == recorded(site, workspace_id=own)[::-1]
    other = recorded(site, workspace_id=member.workspace_id)[0]
    for address in (
        f"/audit?workspace_id={member.workspace_id}",
        f"/audit/events/{other}",
        f"/audit/as-of?workspace_id={member.workspace_id}&at=2026-01-01T00:00",
        f"/audit/as-of?member_id={member.id}&at=2026-01-01T00:00",
    ):
        assert page.request.get(address).status == 404, address
    form: dict[str, str | float | bool] = {
        "csrf": page.locator("input[name=csrf]").first.input_value(),
        "format": "csv",
    }
    same = {"Sec-Fetch-Site": "same-origin"}
    export = f"/audit/export?workspace_id={member.workspace_id}"
    assert page.request.post(export, form=form, headers=same).status == 404
    mine = page.request.post(f"/audit/export?workspace_id={own}", form=form, headers=same)
    assert mine.status == 200


def test_without_scripts_the_trail_is_read_too(
    site: Site, visitor: Visitor, auditor: Person, member: Person
) -> None:
    """UX 23: JavaScript off."""
    page = let_in(site, visitor(scripts=False), auditor, f"/audit?member_id={member.id}")
    page.locator("summary").click()
    page.get_by_label("Action").select_option("mfa.bound")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator(ROWS)).to_have_count(1)
    page.locator(f"{ROWS} a").click()
    expect(page.locator("h1")).to_have_text("MFA bound")


def test_a_locked_member_shows_in_the_trail(site: Site, page: Page, auditor: Person) -> None:
    """UX 22: what happened at a host's login page is here within a moment."""
    person = a_person(site, a_workspace(site, enforced=True))
    refuse_codes(site, a_login(site, person), person, 5)
    let_in(site, page, auditor, f"/audit?member_id={person.id}")
    expect(page.locator(ROWS).first).to_contain_text("Locked after refused codes")
