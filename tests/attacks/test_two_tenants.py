"""Two tenants and everything they may ask, in orders that hypothesis makes up.

What must hold after every step: no answer speaks of the other tenant, no call changes anything
there, no code is accepted twice, and every status is one that the document knows for the call.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from domain.member_mfa import MemberMFA
from domain.unbind_ticket import UnbindTicket
from domain.workspace import Workspace
from tests.attacks.depth import tries
from tests.http.installation import Installation, Person, Reply, totp
from tests.http.routes import ROUTES, Route, Things

SIDES = st.sampled_from([0, 1])
WHO = st.sampled_from(["host", "owner", "member", "login", "ticket", "support", "auditor"])
ON_ONE_THING = [route for route in ROUTES if route.named]


class Tenant:
    """A workspace with an owner and a member, both bound, and tokens that are confined to it."""

    def __init__(self, here: Installation) -> None:
        self.workspace_id = here.workspace()
        self.owner = here.bound(self.workspace_id, "owner")
        self.member = here.bound(self.workspace_id)
        self.login: dict[str, Any] = here.login(self.member)
        self.ticket: dict[str, Any] = here.ticket(self.member)
        self.tokens = {
            role: here.token(role, self.workspace_id, f"{role}-of-{self.workspace_id}")
            for role in ("host", "support", "auditor")
        }

    def token(self, who: str) -> str:
        """A live or a dead token of that kind: what it opens now is the application's business."""
        match who:
            case "owner":
                return self.owner.granted
            case "member":
                return self.member.granted
            case "login":
                return str(self.login["login_token"])
            case "ticket":
                return str(self.ticket["ticket_token"])
        return self.tokens[who]

    @property
    def things(self) -> Things:
        """What paths are about."""
        return Things(self.member, self.login["login_id"], self.ticket["ticket_id"])

    @property
    def names(self) -> tuple[str, ...]:
        """What nobody else may read."""
        return (self.workspace_id, self.member.id, self.owner.id, self.ticket["ticket_id"])

    def state(self, here: Installation) -> tuple[Any, ...]:
        """The versions of all streams of the tenant."""
        load = here.twinlock.store.load
        people = (load(MemberMFA, person.id).version for person in (self.owner, self.member))
        ticket = load(UnbindTicket, self.ticket["ticket_id"]).version
        return (*people, ticket, load(Workspace, self.workspace_id).version)


class TwoTenants(RuleBasedStateMachine):
    """One tenant acts at a time; the other must not notice."""

    here: Installation
    documented: dict[str, set[int]]

    @initialize()
    def begin(self) -> None:
        """Both are as alike as can be."""
        self.tenants = [Tenant(self.here) for _ in range(2)]
        self.accepted = set[tuple[str, str, int]]()
        self.before = [tenant.state(self.here) for tenant in self.tenants]

    @contextmanager
    def acting(self, side: int) -> Iterator[Tenant]:
        """What one does leaves the other as it was."""
        other = self.tenants[1 - side].state(self.here)
        yield self.tenants[side]
        assert self.tenants[1 - side].state(self.here) == other

    def ask(self, side: int, route: Route, things: Things, token: str, body: Any = None) -> Reply:
        """One call; its answer is documented, and silent about the other tenant."""
        answer = self.here.call(route.method, things.path(route), token, body or route.body)
        assert answer.status in self.documented[f"{route.method} {route.rule.partition('?')[0]}"]
        if things is self.tenants[side].things or things.member is self.tenants[side].member:
            assert not [name for name in self.tenants[1 - side].names if name in answer.text]
        return answer

    @rule(side=SIDES, who=WHO, route=st.sampled_from(ON_ONE_THING))
    def ask_about_ones_own(self, side: int, who: str, route: Route) -> None:
        """Whatever it does, it does it at home."""
        with self.acting(side) as tenant:
            self.ask(side, route, tenant.things, tenant.token(who))

    @rule(side=SIDES, who=WHO, route=st.sampled_from(ON_ONE_THING))
    def reach_over(self, side: int, who: str, route: Route) -> None:
        """What belongs to the other is not there, or the token no longer holds."""
        theirs = self.tenants[1 - side].things
        with self.acting(side) as tenant:
            answer = self.ask(side, route, theirs, tenant.token(who))
        assert answer.told in ((404, "not-found"), (401, "unauthenticated"))

    @rule(side=SIDES, who=st.sampled_from(["host", "owner", "auditor", "support"]))
    def read_lists(self, side: int, who: str) -> None:
        """Lists hold nothing of the other's."""
        with self.acting(side) as tenant:
            for path in ("/v1/audit?limit=500", "/v1/tickets?limit=500", "/v1/events?limit=500"):
                answer = self.here.get(path, tenant.token(who))
                assert answer.status in (200, 401, 403)
                others = self.tenants[1 - side].names
                assert not [name for name in others if name in answer.text]

    @rule(side=SIDES, waits=st.sampled_from([0, 30, 60, 1000]), times=st.sampled_from([1, 2]))
    def enter_codes(self, side: int, waits: int, times: int) -> None:
        """A right code, once or twice; a step is accepted at most once."""
        with self.acting(side) as tenant:
            person = tenant.member
            self.here.clock.wait(seconds=waits)
            for _ in range(times):
                self.enter(person, tenant)

    def enter(self, person: Person, tenant: Tenant) -> None:
        """At a new login."""
        tenant.login = self.here.login(person) if self.in_(person) else tenant.login
        step = int(self.here.clock().timestamp()) // 30
        body = {"code": totp(person.secret, self.here.clock())}
        path = f"/v1/logins/{tenant.login['login_id']}/code"
        answer = self.here.post(path, tenant.token("login"), body)
        if answer.status == 200:
            key = (person.id, person.secret, step)
            assert key not in self.accepted
            self.accepted.add(key)
            person.granted = answer.body["pass"]
        assert answer.status in (200, 401, 403, 404, 409, 429)

    def in_(self, person: Person) -> bool:
        """Whether the person is still a member and needs a code or a lock."""
        member = self.here.twinlock.store.load(MemberMFA, person.id)
        return person.workspace_id in member.roles and member.bound

    @rule(side=SIDES)
    def spend_at_another_door(self, side: int) -> None:
        """A code that opened a login takes nothing off."""
        with self.acting(side) as tenant:
            person = tenant.member
            step = int(self.here.clock().timestamp()) // 30
            body = {"code": totp(person.secret, self.here.clock())}
            path = f"/v1/members/{person.id}/mfa/recovery-codes"
            answer = self.here.post(path, person.granted, body)
            if answer.status == 201:
                assert (person.id, person.secret, step) not in self.accepted
                self.accepted.add((person.id, person.secret, step))
            assert answer.status in (201, 401, 403, 404, 409, 429)

    @invariant()
    def no_member_is_in_both(self) -> None:
        """Nobody wandered over."""
        for side, tenant in enumerate(getattr(self, "tenants", [])):
            member = self.here.twinlock.store.load(MemberMFA, tenant.member.id)
            assert self.tenants[1 - side].workspace_id not in member.roles


@pytest.fixture(scope="module")
def documented(here: Installation) -> dict[str, set[int]]:
    """The statuses of every call."""
    paths = here.get("/openapi.json").body["paths"]
    return {
        f"{method.upper()} {path}": {int(status) for status in operation["responses"]}
        for path, item in paths.items()
        for method, operation in item.items()
    }


def test_neither_tenant_notices_the_other(
    here: Installation, documented: dict[str, set[int]]
) -> None:
    machine = type("Both", (TwoTenants,), {"here": here, "documented": documented})
    run_state_machine_as_test(machine, settings=tries(4, 150, stateful_step_count=15))
