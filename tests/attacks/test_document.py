"""The OpenAPI document under schemathesis: every call, every kind of credential, all checks on."""

import secrets
from dataclasses import dataclass, field
from typing import Any

import pytest
import schemathesis
from hypothesis import assume, given
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS
from schemathesis.core import NotSet
from schemathesis.specs.openapi.schemas import OpenApiSchema

from api.app import AREAS
from api.fields import MOST
from tests.attacks.depth import tries
from tests.http.installation import Installation, Person

HOLDERS = ("nobody", "host", "owner", "support", "auditor", "analyst", "login", "pass", "ticket")
NAMES = [call.name for area in AREAS for call in area]
BOTH = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]


TAME = {"as_of": "1", "after": "1", "type": "mfa.bound", "types": "mfa.bound"}
"""Values that depend on the history, or stand in the table of events."""
EMAIL = {"email": "nobody@example.org"}
NEEDED: dict[tuple[str, str], dict[str, str]] = {
    ("send_ticket_code", ""): EMAIL,
    ("submit_ticket", ""): EMAIL,
    ("send_ticket_code", "login"): {},
    ("submit_ticket", "login"): {},
    ("put_mfa_policy", "owner"): {"code": "000000"},
}
"""What is missing for some callers only."""


ENDING = {
    "remove_member",
    "enter_code",
    "bind_mfa",
    "unbind_mfa",
    "revoke_sessions",
    "cancel_ticket",
}
"""Calls that may end the tokens they come with."""


@dataclass
class Ground:
    """The document, and somebody to whom paths and tokens may belong."""

    here: Installation
    schema: OpenApiSchema
    workspace_id: str
    owner: Person
    member: Person
    ids: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str | None] = field(default_factory=dict)

    def token(self, holder: str) -> str | None:
        """A live token of that kind, made anew: calls before may have ended the last one."""
        match holder:
            case "nobody":
                return None
            case "owner":
                return self.here.token("owner", self.workspace_id, self.owner.id)
            case "login" | "pass" | "ticket":
                return self._of_a_new_member(holder)
        return self.here.tokens[holder]

    def _of_a_new_member(self, holder: str) -> str:
        person = self.here.bound(self.workspace_id)
        opened = self.here.login(person)
        self.ids |= {"member_id": person.id, "login_id": opened["login_id"]}
        if holder == "login":
            return str(opened["login_token"])
        if holder == "pass":
            return person.granted
        filed = self.here.ticket(person)
        self.ids["ticket_id"] = filed["ticket_id"]
        return str(filed["ticket_token"])

    def known(self) -> dict[str, str]:
        """Ids that lead somewhere."""
        return {"workspace_id": self.workspace_id, "member_id": self.member.id, **self.ids}


@pytest.fixture(scope="module")
def ground(here: Installation) -> Ground:
    """What all calls share."""
    workspace = here.workspace()
    schema = schemathesis.openapi.from_wsgi("/openapi.json", here.app)
    schema.config.generation.update(modes=BOTH)
    return Ground(here, schema, workspace, here.bound(workspace, "owner"), here.member(workspace))


@pytest.mark.parametrize("name", NAMES)
def test_every_answer_is_as_documented(ground: Ground, name: str) -> None:
    operation = ground.schema.find_operation_by_id(name)
    if not ground.tokens:
        ground.tokens.update({holder: ground.token(holder) for holder in HOLDERS})
    tokens = dict(ground.tokens)
    known, holders = ground.known(), st.sampled_from(HOLDERS)
    needed = {h: NEEDED.get((name, h), NEEDED.get((name, ""), {})) for h in HOLDERS}

    @tries(4, 500)
    @given(case=operation.as_strategy(generation_mode=GenerationMode.POSITIVE), holder=holders)
    def fitting(case: Case[Any], holder: str) -> None:
        lead(case, known, needed[holder])
        judge(case, tokens[holder])

    @tries(4, 500)
    @given(case=operation.as_strategy(generation_mode=GenerationMode.NEGATIVE), holder=holders)
    def unfit(case: Case[Any], holder: str) -> None:
        assume("Last-Event-ID" not in case.headers)  # only a stream looks at it
        assume(not lacks(case, needed[holder]))
        judge(case, tokens[holder])

    if name in ENDING:
        ground.tokens.clear()
    fitting()
    if operation.body or list(operation.iter_parameters()):
        unfit()


def lead(case: Case[Any], known: dict[str, str], needed: dict[str, str]) -> None:
    """Let the path lead to something, half of the time; put in what the document can't ask for."""
    parts: dict[str, Any] = case.path_parameters or {}
    if sum(map(ord, str(parts))) % 2:
        parts.update({name: known[name] for name in parts if name in known})
    case.query.pop("cursor", None)  # signed: none that is made up holds
    if "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = secrets.token_hex(16)  # an earlier case had another body
    case.query.update({n: v for n, v in TAME.items() if n in case.query})
    whole = {n: int(v) for n, v in case.query.items() if isinstance(v, float) and v.is_integer()}
    case.query.update(whole)  # 2.0 is an integer in JSON Schema, and no way to write one in a query
    if needed and not isinstance(case.body, dict):  # it may be left out with a login alone
        case.body, case.media_type = {}, "application/json"
    if isinstance(case.body, dict):
        case.body.update({n: v for n, v in needed.items() if case.body.get(n) is None})
        case.body.pop("grace_until", None)
        if case.body.get("to") is not None:
            case.body["to"] = "agent-b"  # forwarded to an agent there is
        if "put_mfa_policy" in str(case.operation.definition.raw) and not needed:
            case.body.pop("code", None)  # the host sends none


def lacks(case: Case[Any], needed: dict[str, str]) -> bool:
    """Whether what the document can't ask for is missing in a body that it takes."""
    body = {} if isinstance(case.body, NotSet) else case.body
    return isinstance(body, dict) and any(body.get(name) is None for name in needed)


def judge(case: Case[Any], token: str | None) -> None:
    """Send it, and let every check look at the answer."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    at_least = str(case.query.get("at_least", ""))
    if at_least.isdecimal() and int(at_least) <= MOST:
        case.query.pop("at_least")  # what is to come is waited for, and then 503
    checks: Any = CHECKS.get_all()
    case.call_and_validate(headers=headers, checks=checks)
