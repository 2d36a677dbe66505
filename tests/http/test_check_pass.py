"""examples/check_pass.py, which docs/integrate.md prints, against passes of a real server."""

import os
import re
import subprocess
import sys

import pytest

from api.refusals import TITLES, status_of_slug
from tests.http.installation import PUBLIC_URL, Installation
from tests.support.command_line import ROOT

EXAMPLE = ROOT / "examples/check_pass.py"
PAGE = (ROOT / "docs/integrate.md").read_text()
pytestmark = pytest.mark.live


@pytest.fixture
def address(port: int) -> str:
    """Where the installation answers over a socket."""
    return f"http://127.0.0.1:{port}"


def said(here: Installation, address: str, given: str, workspace: str) -> str:
    """What the program prints."""
    env = {
        "PATH": os.environ["PATH"],
        "TWINLOCK_URL": address,
        "TWINLOCK_PUBLIC_URL": PUBLIC_URL,
        "TWINLOCK_HOST_TOKEN": here.tokens["host"],
    }
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), workspace],
        input=given,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode == 0) is not done.stderr.startswith("refused: "), done.stderr
    return (done.stdout or done.stderr).strip()


def test_a_pass_opens_its_workspace_until_it_is_revoked(here: Installation, address: str) -> None:
    with here.clock.set_back(minutes=5):  # codes below are of steps to come
        member = here.bound(here.workspace())
    here.join(member, other := here.workspace())
    assert said(here, address, member.granted, member.workspace_id) == member.id
    assert "aud" in said(here, address, member.granted, other)
    first, _, last = member.granted.rpartition(".")
    assert "signature" in said(here, address, f"{first}.{last[::-1]}", member.workspace_id)
    assert said(here, address, "nothing", member.workspace_id).startswith("refused: ")
    here.post(f"/v1/members/{member.id}/sessions/revocation", "host")
    assert "older epoch" in said(here, address, member.granted, member.workspace_id)


def test_a_pass_without_a_code_opens_until_the_policy_asks_for_more(
    here: Installation, address: str
) -> None:
    member = here.member(here.workspace())
    granted = here.pass_of(member)
    assert said(here, address, granted, member.workspace_id) == member.id
    here.enforce(member.workspace_id)
    assert "asks for more" in said(here, address, granted, member.workspace_id)


def test_who_left_is_refused(here: Installation, address: str) -> None:
    member = here.member(here.workspace())
    granted = here.pass_of(member)
    path = f"/v1/workspaces/{member.workspace_id}/members/{member.id}"
    assert here.call("DELETE", path, "host").status == 204
    assert "404" in said(here, address, granted, member.workspace_id)


def test_the_page_prints_what_was_run() -> None:
    (printed,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert f"\n{printed}\n" in EXAMPLE.read_text()


def test_the_page_lists_every_slug_under_its_status() -> None:
    rows = re.findall(r"^\| ([45]\d\d) \| (.*) \|$", PAGE, re.MULTILINE)
    listed = {slug: int(status) for status, slugs in rows for slug in re.findall("`(.*?)`", slugs)}
    assert listed == {slug: status_of_slug(slug) for slug in TITLES}


def test_the_pages_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
