"""Every command of docs/history.md does what the page says that it does."""

from pathlib import Path
from typing import Any

import pytest

from domain.member_facts import MemberAdded, MFABound, MFAUnbound, Registered
from domain.member_mfa import MemberMFA
from domain.workspace import PolicyEnforced, Workspace, WorkspaceCreated
from tests.support.command_line import environment, run_twinlock
from tests.support.pages import at_a_desk, commands, must_print, on, projected
from tests.support.served import served
from twinlock.composition import Twinlock

__all__ = ["served"]
pytestmark = pytest.mark.live


def the_story(twinlock: Twinlock) -> None:
    on(twinlock, "2026-02-01", Workspace, "acme", WorkspaceCreated())
    for member, role in (("m1", "owner"), ("m2", "member")):
        added = MemberAdded(workspace_id="acme", member_id=member, role=role)
        on(twinlock, "2026-02-01", MemberMFA, member, Registered(), added)
    bound = MFABound(binding_id="b1", step=1, workspace_id=None, login_id=None)
    on(twinlock, "2026-02-10", MemberMFA, "m1", bound)
    on(twinlock, "2026-02-20", Workspace, "acme", PolicyEnforced(grace_until=None))
    unbound = MFAUnbound(binding_id="b1", method="self", ticket_id=None)
    on(twinlock, "2026-03-05", MemberMFA, "m1", unbound)


def test_every_command_prints_what_the_page_says(
    twinlock: Twinlock, served: tuple[str, Any], tmp_path: Path
) -> None:
    the_story(twinlock)
    with projected(twinlock) as running:
        running.seen(twinlock.store.head())
    made = run_twinlock(twinlock, "token", "create", "--role", "auditor", "--name", "t")
    # Making the token is an event as well; the story is told without it.
    with twinlock.connect() as connection:
        connection.execute("DELETE FROM stored_events WHERE originator_id LIKE 'token/%'")
        connection.execute("SELECT setval('stored_events_notification_id_seq', 8)")
    env = environment(twinlock, TOPIC="twinlock.events")
    env |= {"TWINLOCK": f"http://{served[0]}", "AUDITOR": made.out.strip()}
    env = at_a_desk(tmp_path, env)
    for command, expected in commands("history.md"):
        must_print(command, expected, desk=tmp_path, env=env)
