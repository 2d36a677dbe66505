"""Members for a load: bound ones whose secrets are known here, and some who have nothing bound."""

import base64
import hashlib
import hmac
import secrets
import struct
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from commands.ports import Change, Write
from domain.facts import Actor
from domain.member_facts import MemberAdded, MFABound, Registered
from domain.member_mfa import MemberMFA
from domain.workspace import Workspace, WorkspaceCreated
from twinlock.composition import Twinlock

WORKSPACE: Final = "faults"
STEP: Final = 30
BATCH: Final = 100
HOST: Final = Actor("host", "faults")


def code_at(secret: str, step: int) -> str:
    """RFC 6238 over RFC 4226, section 5.3, sharing nothing with Twinlock."""
    digest = hmac.digest(base64.b32decode(secret), struct.pack(">Q", step), hashlib.sha1)
    offset = digest[-1] & 15
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 10**6:06d}"


def step_now() -> int:
    """The time step of this moment."""
    return int(time.time()) // STEP


@dataclass
class Bound:
    """A member with an authenticator, and the last step that was tried."""

    id: str
    secret: str = field(repr=False)
    step: int = 0

    def next_step(self) -> int | None:
        """A step that is accepted now and was never tried; None where all of them were.

        The earliest one of the window is left out in the second half of a step.
        """
        now = time.time()
        earliest = int(now) // STEP - (now % STEP < STEP / 2)
        step = max(self.step + 1, earliest)
        return step if step <= int(now) // STEP + 1 else None


class People:
    """Hands members out to the threads of a load, each to one at a time."""

    def __init__(self, bound: list[Bound], unbound: list[str]) -> None:
        self.unbound = unbound
        self._free = bound
        self._lock = threading.Lock()

    def take(self) -> tuple[Bound, int] | None:
        """A member and its next step, for the caller alone until `give`."""
        with self._lock:
            for _ in range(min(50, len(self._free))):
                member = self._free.pop(0)
                step = member.next_step()
                if step is not None:
                    member.step = step
                    return member, step
                self._free.append(member)
        return None

    def give(self, member: Bound) -> None:
        """Let others have it."""
        with self._lock:
            self._free.append(member)


def settled(twinlock: Twinlock, bound: int, unbound: int) -> People:
    """Make them, through the store and the vault."""
    context = twinlock.context(HOST, "seed")
    twinlock.store.append(context, (Workspace(WORKSPACE), [WorkspaceCreated()]))
    people = [
        Bound(f"b-{secrets.token_hex(5)}", base64.b32encode(secrets.token_bytes(20)).decode())
        for _ in range(bound)
    ]
    others = [f"u-{secrets.token_hex(5)}" for _ in range(unbound)]
    for first in range(0, bound, BATCH):
        _append(twinlock, people[first : first + BATCH])
    added = [(MemberMFA(id_), _joined(id_)) for id_ in others]
    twinlock.store.append(context, *added)
    return People(people, others)


def _append(twinlock: Twinlock, people: Iterable[Bound]) -> None:
    changes: list[Change] = []
    seals: list[Write] = []
    for one in people:
        binding = f"b1-{one.id}"
        facts = _joined(one.id)
        facts.append(MFABound(binding_id=binding, step=1, workspace_id=WORKSPACE, login_id=None))
        changes.append((MemberMFA(one.id), facts))
        seals.append(
            twinlock.vault.seal(f"member/{one.id}", f"totp/{binding}", one.secret.encode())
        )
    twinlock.store.append(twinlock.context(HOST, "seed"), *changes, also=seals)


def _joined(id_: str) -> list[Registered | MemberAdded | MFABound]:
    added = MemberAdded(workspace_id=WORKSPACE, member_id=id_, role="member")
    return [Registered(), added]
