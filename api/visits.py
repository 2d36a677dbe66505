"""One request under way: what is known of it before its guard, and what the guard adds."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from api.backend import Backend
from api.callers import ANYBODY, NOBODY, Caller, unauthenticated
from commands import dispatch
from commands.ports import Context, Credential, Desk, Once
from domain.facts import Actor
from domain.member_mfa import MemberMFA
from domain.unbind_ticket import UnbindTicket
from domain.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A call that its guard let in: by whom, on what, and with what to answer it.

    `desk` is the visit's own where the API is called, and reads no stream twice.
    """

    backend: Backend
    desk: Desk
    at: datetime
    request_id: str
    caller: Caller = NOBODY
    actor: Actor = ANYBODY
    workspace_id: str | None = None
    once: Once | None = None
    member: MemberMFA | None = None
    workspace: Workspace | None = None
    ticket: UnbindTicket | None = None
    login: Credential | None = None

    @property
    def context(self) -> Context:
        """Who asks and when, as commands want to know it."""
        return Context(
            at=self.at,
            actor=self.actor,
            request_id=self.request_id,
            workspace_id=self.workspace_id,
            once=self.once,
            revocations=self.caller.revocations,
        )

    def run(self, command: Any) -> Any:
        """Run the command in this visit's name; raises its refusals."""
        return dispatch.run(command, self.context, self.desk)

    def by(self, actor: Actor, **known: Any) -> "Visit":
        """The same, let in as `actor`, with what the guard has loaded."""
        return replace(self, actor=actor, **known)

    def known(self) -> Caller:
        """The caller; raises Unauthenticated where nobody is."""
        if self.caller is NOBODY:
            raise unauthenticated()
        return self.caller


Arguments = Mapping[str, str]
"""The variable parts of the path."""
