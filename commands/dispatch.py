"""Runs a command: finds its handler, and decides again whenever somebody else was faster."""

import sys
from dataclasses import replace
from typing import Any

from commands.ports import Change, Context, Desk, Stale, Write
from domain.decision import Decision
from domain.refusals import Unavailable

ROUNDS = 50
"""In each round at least one of the contenders gets through."""


def run(command: Any, context: Context, desk: Desk) -> Any:
    """Handle `command` by the `handle` of its module; raises a Refusal, or Unavailable."""
    handle = sys.modules[type(command).__module__].handle
    for _ in range(ROUNDS):
        try:
            return handle(command, context, desk)
        except Stale:
            continue
    raise Unavailable("Too many requests change the same thing at once.", retry_after=1)


def record(
    desk: Desk, context: Context, decision: Decision, *changes: Change, also: tuple[Write, ...] = ()
) -> int:
    """Commit what was decided, then answer: the position, or the refusal with its position.

    Where the decision is a refusal, writes belong to what did not happen and are left out.
    """
    told = replace(context, refusal=decision.refusal) if decision.refusal else context
    position = desk.store.append(told, *changes, also=also if decision.granted else ())
    if decision.refusal:
        decision.refusal.position = position
        raise decision.refusal
    return position
