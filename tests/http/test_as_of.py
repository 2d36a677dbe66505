"""Members, policies and coverage as of a time or a position, over HTTP."""

from datetime import timedelta

import pytest

from tests.http.installation import Installation

pytestmark = pytest.mark.live


def moment(here: Installation) -> str:
    """Now, as clients write it; a second passes on either side."""
    here.clock.wait(seconds=1)
    now = here.clock().isoformat()
    here.clock.wait(seconds=1)
    return now.replace("+00:00", "Z")


def test_an_auditor_asks_what_was_and_why(here: Installation) -> None:
    here.put("/v1/workspaces/past", "host", {"name": "Past"})
    before = moment(here)
    person = here.bound("past")
    between = moment(here)
    here.enforce("past")
    after = moment(here)
    body = {"code": here.code(person)}
    here.post(f"/v1/members/{person.id}/mfa/unbinding", person.granted, body)

    def mfa(place: str) -> dict[str, object]:
        return dict(here.get(f"/v1/members/{person.id}/mfa?as_of={place}", "auditor").body)

    assert mfa(before)["status"] == "not_bound"
    assert mfa(before)["because"] is None
    then = mfa(between)
    assert (then["status"], then["recovery_codes_left"]) == ("bound", 10)
    assert then["as_of"]["time"] == between  # type: ignore[index]
    cited = here.get(f"/v1/events?after={int(str(then['because'])) - 1}&limit=1", "auditor")
    assert cited.body["events"][0]["type"] == "twinlock.mfa.bound.v1"
    again = mfa(str(then["as_of"]["position"]))  # type: ignore[index]
    assert {**again, "as_of": None} == {**then, "as_of": None}

    policy = "/v1/workspaces/past/mfa-policy"
    assert here.get(f"{policy}?as_of={between}", "auditor").body["because"] is None
    enforced = here.get(f"{policy}?as_of={after}", "auditor").body
    assert (enforced["mode"], enforced["changed_by"]["kind"]) == ("enforced", "host")
    assert enforced["because"] == str(enforced["as_of"]["position"])

    coverage = "/v1/workspaces/past/coverage"
    seen = [here.get(f"{coverage}?as_of={at}", "auditor").body for at in (before, after)]
    assert [(each["members"], each["bound"]) for each in seen] == [(0, 0), (1, 1)]
    assert seen[1]["items"][0]["member_id"] == person.id
    now = here.get(f"{coverage}?as_of={moment(here)}", "auditor").body
    live = here.get(coverage, "host").body
    assert {**live, "as_of": None} == {k: v for k, v in {**now, "as_of": None}.items() if k in live}
    assert (now["bound"], now["overdue"]) == (0, 1)


def test_pages_of_past_coverage_go_on_from_their_cursor(here: Installation) -> None:
    here.put("/v1/workspaces/pages", "host", {"name": "Pages"})
    members = sorted(here.member("pages").id for _ in range(3))
    path = f"/v1/workspaces/pages/coverage?as_of={moment(here)}&limit=2"
    first = here.get(path, "auditor").body
    second = here.get(f"{path}&cursor={first['next_cursor']}", "auditor").body
    found = [item["member_id"] for page in (first, second) for item in page["items"]]
    assert found == members
    assert second["next_cursor"] is None
    elsewhere = f"/v1/workspaces/pages/coverage?as_of=1&limit=2&cursor={first['next_cursor']}"
    assert here.get(elsewhere, "auditor").told == (422, "malformed")


@pytest.mark.parametrize("what", ["mfa-policy", "coverage"])
def test_an_auditor_asks_about_the_past_alone(here: Installation, what: str) -> None:
    here.put("/v1/workspaces/alone", "host", {"name": "Alone"})
    for query in ("", "?at_least=999999999", "?at_least=x"):
        path = f"/v1/workspaces/alone/{what}{query}"
        assert here.get(path, "auditor").told == (403, "forbidden")
    assert here.get(f"/v1/workspaces/alone/{what}?as_of=1", "auditor").status == 200


def test_what_is_no_place_in_the_history_is_malformed(here: Installation) -> None:
    here.put("/v1/workspaces/odd", "host", {"name": "Odd"})
    ahead = (here.clock() + timedelta(minutes=1)).isoformat().replace("+00:00", "Z")
    for place in ("999999999", ahead, "yesterday", "-1", "2026-03-01", "1.5", ""):
        reply = here.get(f"/v1/workspaces/odd/mfa-policy?as_of={place}", "host")
        assert reply.told == (422, "malformed"), place
        assert "as_of" in reply.body["detail"]
