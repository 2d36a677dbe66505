"""Every command of docs/auditing.md does what the page says that it does."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from commands.ports import Context
from domain.facts import Actor, Fact
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
from projections.models import MODELS
from projections.progress import wait_visible
from tests.flow.conftest import Running
from tests.support.command_line import ROOT, environment, run_twinlock
from tests.support.notarised import notarise
from tests.support.served import served
from twinlock.adapters.embedded import EmbeddedLog
from twinlock.backend import envelope
from twinlock.composition import Twinlock

__all__ = ["served"]
pytestmark = pytest.mark.live
PAGE = ROOT / "docs" / "auditing.md"
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
HOST, AGENT = Actor("host", "h1"), Actor("support", "agent-7")


def on(twinlock: Twinlock, day: str, kind: Any, id_: str, *facts: Fact, by: Actor = HOST) -> None:
    """Append at nine o'clock of a day."""
    context = Context(at=datetime.fromisoformat(f"{day}T09:00:00+00:00"), actor=by, request_id="r")
    twinlock.store.append(context, (twinlock.store.load(kind, id_), facts))


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
    given = ApprovalGiven(agent_id="agent-7")
    for fact in (TicketClaimed(agent_id="agent-7"), given, TicketApproved()):
        on(twinlock, "2026-03-05", UnbindTicket, "t1", fact, by=AGENT)
    unbound = MFAUnbound(binding_id="b-m2", method="ticket", ticket_id="t1")
    on(twinlock, "2026-03-05", MemberMFA, "m2", unbound, by=AGENT)


@contextmanager
def projected(twinlock: Twinlock) -> Iterator[None]:
    """The read models follow."""
    wrap = envelope(twinlock)
    running = Running(twinlock, EmbeddedLog(twinlock.store, wrap), wrap)
    running.project(*MODELS)
    try:
        yield
    finally:
        running.stop()


def commands() -> list[tuple[str, str]]:
    """Each command of the page with what it prints."""
    found = []
    for block in BLOCK.findall(PAGE.read_text()):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


def at_a_desk(twinlock: Twinlock, address: str, token: str, desk: Path) -> dict[str, str]:
    """The environment of somebody who sits at a folder of their own."""
    env = environment(twinlock) | {"TWINLOCK": f"http://{address}", "AUDITOR": token}
    env["PATH"] = f"{desk}:{Path(sys.executable).parent}:{env['PATH']}"
    shim = desk / "twinlock"
    shim.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m twinlock "$@"\n')
    shim.chmod(0o755)
    (desk / "examples").symlink_to(ROOT / "examples")
    return env


def test_every_command_prints_what_the_page_says(
    twinlock: Twinlock, served: tuple[str, Any], tmp_path: Path
) -> None:
    the_story(twinlock)
    made = run_twinlock(twinlock, "token", "create", "--role", "auditor", "--name", "t")
    notarise(twinlock)
    env = at_a_desk(twinlock, served[0], made.out.strip(), tmp_path)
    with projected(twinlock):
        for command, expected in commands():
            settled(twinlock)
            ran = subprocess.run(
                ["bash", "-c", command], cwd=tmp_path, env=env, capture_output=True, text=True
            )
            printed = ran.stdout + ran.stderr
            pattern = re.escape(expected.strip()).replace(r"\*", r"[^\n]*?")
            assert re.fullmatch(pattern, printed.strip()), f"{command}\n{printed}"


def settled(twinlock: Twinlock) -> None:
    """Let the read models come up to where the history is."""
    for model in MODELS:
        wait_visible(twinlock.reads, model.key, twinlock.store.head(), timeout=60)
