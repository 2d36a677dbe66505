"""Every command of docs/auditing.md does what the page says that it does."""

from pathlib import Path
from typing import Any

import pytest

from domain.facts import Actor
from domain.member_facts import MemberAdded, MFABound, MFAUnbound, Registered
from domain.member_mfa import MemberMFA
from domain.unbind_ticket import (
    ApprovalGiven,
    TicketApproved,
    TicketClaimed,
    TicketSubmitted,
    UnbindTicket,
)
from domain.workspace import PolicyEnforced, Workspace, WorkspaceCreated
from tests.support.command_line import ROOT, environment, run_twinlock
from tests.support.notarised import notarise
from tests.support.pages import at_a_desk, commands, must_print, on, projected
from tests.support.served import served
from twinlock.composition import Twinlock

__all__ = ["served"]
pytestmark = pytest.mark.live
AGENT = Actor("support", "agent-7")


def the_story(twinlock: Twinlock) -> None:
    on(twinlock, "2026-02-01", Workspace, "acme", WorkspaceCreated())
    for member, role in (("m1", "owner"), ("m2", "member")):
        added = MemberAdded(workspace_id="acme", member_id=member, role=role)
        on(twinlock, "2026-02-01", MemberMFA, member, Registered(), added)
        bound = MFABound(binding_id=f"b-{member}", step=1, workspace_id=None, login_id=None)
        on(twinlock, "2026-02-10", MemberMFA, member, bound)
    on(twinlock, "2026-02-20", Workspace, "acme", PolicyEnforced(grace_until=None))
    submitted = TicketSubmitted(
        member_id="m2", binding_id="b-m2", first_factor_proven=True, approvals_needed=1
    )
    on(twinlock, "2026-03-05", UnbindTicket, "t1", submitted, by=Actor("anonymous"))
    claimed, given = TicketClaimed(agent_id="agent-7"), ApprovalGiven(agent_id="agent-7")
    on(twinlock, "2026-03-05", UnbindTicket, "t1", claimed, by=AGENT)
    unbound = MFAUnbound(binding_id="b-m2", method="ticket", ticket_id="t1")
    on(twinlock, "2026-03-05", MemberMFA, "m2", unbound, by=AGENT)
    on(twinlock, "2026-03-05", UnbindTicket, "t1", given, TicketApproved(), by=AGENT)


def test_every_command_prints_what_the_page_says(
    twinlock: Twinlock, served: tuple[str, Any], tmp_path: Path
) -> None:
    the_story(twinlock)
    made = run_twinlock(twinlock, "token", "create", "--role", "auditor", "--name", "t")
    notarise(twinlock)
    env = environment(twinlock) | {"TWINLOCK": f"http://{served[0]}", "AUDITOR": made.out.strip()}
    env = at_a_desk(tmp_path, env)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    with projected(twinlock) as running:
        for command, expected in commands("auditing.md"):
            running.seen(twinlock.store.head())
            must_print(command, expected, desk=tmp_path, env=env)
