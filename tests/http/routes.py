"""Every call of the API as a request: who may send it, and a body that is right in form."""

from dataclasses import dataclass
from typing import Any

from tests.http.installation import Person, ticket_body

PROOF = {"code": "123456"}
REASON = {"reason": "Called back."}


@dataclass(frozen=True)
class Route:
    """`rule` holds {workspace_id}, {member_id}, {login_id} and {ticket_id}."""

    method: str
    rule: str
    allowed: frozenset[str]
    body: Any = None

    @property
    def name(self) -> str:
        """As a test's id."""
        return f"{self.method} {self.rule}"

    @property
    def template(self) -> str:
        """As the application writes the rule."""
        return self.rule.partition("?")[0].replace("{", "<").replace("}", ">")

    @property
    def named(self) -> bool:
        """Whether it is about one thing."""
        return "{" in self.rule.partition("?")[0]


def route(method: str, rule: str, *allowed: str, body: Any = None) -> Route:
    """Declare one."""
    return Route(method, rule, frozenset(allowed), body)


WORKSPACE = "/v1/workspaces/{workspace_id}"
MEMBER = WORKSPACE + "/members/{member_id}"
MFA = "/v1/members/{member_id}/mfa"
LOGIN = "/v1/logins/{login_id}"
TICKET = "/v1/tickets/{ticket_id}"
PROFILE = {"email": "somebody@example.org", "name": "Somebody", "role": "member"}
ASKED = "workspace_id={workspace_id}&member_id={member_id}"
ROUTES = (
    route("PUT", WORKSPACE, "host", body={"name": "A workspace"}),
    route("PUT", MEMBER, "host", body=PROFILE),
    route("DELETE", MEMBER, "host"),
    route("GET", WORKSPACE + "/mfa-policy", "host", "owner"),
    route("PUT", WORKSPACE + "/mfa-policy", "host", "owner", body={"mode": "off"}),
    route("GET", WORKSPACE + "/mfa-policy/preview", "host", "owner"),
    route("GET", WORKSPACE + "/coverage", "host", "owner"),
    route("POST", "/v1/logins", "host", body={"workspace_id": "w", "member_id": "m"}),
    route("GET", LOGIN, "host", "login"),
    route("POST", LOGIN + "/code", "login", body=PROOF),
    route("POST", "/v1/logins/exchange", "host", body={"code": "x" * 43}),
    route("GET", "/v1/login-checks?" + ASKED, "host"),
    route("GET", MFA, "host", "owner", "auditor", "member", "login"),
    route("POST", MFA + "/email-codes", "member", body={"purpose": "bind"}),
    route("POST", MFA + "/enrolment", "member", body={"email_code": "123456"}),
    route("POST", MFA + "/binding", "member", body=PROOF),
    route("POST", MFA + "/unbinding", "member", body=PROOF),
    route("POST", MFA + "/recovery-codes", "member", body=PROOF),
    route("POST", "/v1/members/{member_id}/sessions/revocation", "host", "member"),
    route("GET", "/v1/tickets", "support"),
    route("GET", TICKET, "support", "member", "ticket"),
    route("POST", TICKET + "/cancellation", "member", "ticket"),
    route("POST", TICKET + "/claim", "support"),
    route("POST", TICKET + "/forward", "support", body={"to": None}),
    route("POST", TICKET + "/approve", "support", body=REASON),
    route("POST", TICKET + "/reject", "support", body=REASON),
    route("GET", "/v1/agents", "support"),
    route("GET", "/v1/audit", "auditor", "owner"),
    route("GET", "/v1/audit/checkpoint", "auditor"),
    route("GET", "/v1/audit/proofs/inclusion", "auditor"),
    route("GET", "/v1/audit/proofs/consistency", "auditor"),
    route("GET", "/v1/events", "auditor", "analyst"),
)
ANYONE = (
    route("POST", "/v1/tickets/email-codes", body={"email": "nobody@example.org"}),
    route("POST", "/v1/tickets", body={"email": "nobody@example.org", **ticket_body("c")}),
    route("GET", "/v1/access?workspace_id={workspace_id}"),
    route("GET", "/.well-known/jwks.json"),
    route("GET", "/v1/schemas/{type}"),
    route("GET", "/.well-known/twinlock-notary-keys"),
    route("GET", "/healthz"),
    route("GET", "/readyz"),
)


@dataclass(frozen=True)
class Things:
    """What a route is about."""

    member: Person
    login_id: str = "nothing"
    ticket_id: str = "nothing"

    def path(self, route: Route) -> str:
        """The route's path, about these."""
        return route.rule.format(
            workspace_id=self.member.workspace_id,
            member_id=self.member.id,
            login_id=self.login_id,
            ticket_id=self.ticket_id,
        )


NOTHING = Things(Person("nobody", "nowhere", ""))
