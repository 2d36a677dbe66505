"""Every command of docs/history.md does what the page says that it does."""

import re
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from commands.ports import Context
from domain.facts import Actor, Fact
from domain.member_facts import MemberAdded, MFABound, MFAUnbound, Registered
from domain.member_mfa import MemberMFA
from domain.workspace import PolicyEnforced, Workspace, WorkspaceCreated
from projections.models import MODELS
from projections.progress import wait_visible
from tests.support.command_line import ROOT, environment, run_twinlock
from tests.support.served import served
from twinlock.adapters.embedded import EmbeddedLog
from twinlock.backend import envelope
from twinlock.composition import Twinlock
from workers.projector import Projector

__all__ = ["served"]
pytestmark = pytest.mark.live
PAGE = ROOT / "docs" / "history.md"
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)


def on(twinlock: Twinlock, day: str, kind: Any, id_: str, *facts: Fact) -> None:
    """Append at nine o'clock of a day."""
    at = datetime.fromisoformat(f"{day}T09:00:00").replace(tzinfo=UTC)
    context = Context(at=at, actor=Actor("host", "h1"), request_id="r")
    twinlock.store.append(context, (twinlock.store.load(kind, id_), facts))


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


def project(twinlock: Twinlock) -> None:
    """Bring the read models up to date, and stop."""
    stop, log = threading.Event(), EmbeddedLog(twinlock.store, envelope(twinlock))
    runs = [Projector(m, twinlock.connect, log, envelope(twinlock)).run for m in MODELS]
    threads = [threading.Thread(target=run, args=(stop,)) for run in runs]
    for thread in threads:
        thread.start()
    for model in MODELS:
        wait_visible(twinlock.reads, model.key, twinlock.store.head(), timeout=60)
    stop.set()
    for thread in threads:
        thread.join(60)


def commands() -> list[tuple[str, str]]:
    """Each command of the page with what it prints."""
    found = []
    for block in BLOCK.findall(PAGE.read_text()):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


def test_every_command_prints_what_the_page_says(
    twinlock: Twinlock, served: tuple[str, Any], tmp_path: Path
) -> None:
    the_story(twinlock)
    project(twinlock)
    made = run_twinlock(twinlock, "token", "create", "--role", "auditor", "--name", "t")
    # Making the token is an event as well; the story is told without it.
    with twinlock.connect() as connection:
        connection.execute("DELETE FROM stored_events WHERE originator_id LIKE 'token/%'")
        connection.execute("SELECT setval('stored_events_notification_id_seq', 8)")
    env = environment(twinlock, TOPIC="twinlock.events")
    env |= {"TWINLOCK": f"http://{served[0]}", "AUDITOR": made.out.strip()}
    env["PATH"] = f"{tmp_path}:{env['PATH']}"
    shim = tmp_path / "twinlock"
    shim.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m twinlock "$@"\n')
    shim.chmod(0o755)
    for command, expected in commands():
        ran = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, env=env, capture_output=True, text=True
        )
        printed = ran.stdout + ran.stderr
        pattern = re.escape(expected.strip()).replace(r"\*", r"[^\n]*?")
        assert re.fullmatch(pattern, printed.strip()), f"{command}\n{printed}"
