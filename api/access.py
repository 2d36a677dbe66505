"""Whether a pass opens a workspace now, answered to reverse proxies by status and headers."""

from flask import request

from api import guards
from api.callers import bearer_of, unauthenticated
from api.calls import Answer, Calls
from api.fields import ID
from api.shapes import AccessQuery
from api.visits import Visit
from commands.check_pass import CheckPass, PassChecked
from domain.refusals import Refusal, Unavailable

calls = Calls("Access")
COOKIE = "twinlock_pass"
HEADERS = ("Remote-User", "Remote-Groups", "Remote-Workspace", "Remote-Amr")


@calls.get(
    "/v1/access",
    guard=guards.holder_of_pass,
    answers={200: None},
    refuses=("unauthenticated",),
    expects=None,
    cookie=COOKIE,
    headers=HEADERS,
    judged=AccessQuery,
)
def check_access(visit: Visit) -> Answer:
    """For nginx auth_request, Traefik and Caddy: 200 with Remote headers, or 401.

    The pass comes as bearer or in the cookie twinlock_pass; `workspace_id` stands in the query.
    """
    try:
        holder = _holder(visit)
    except Unavailable:
        raise
    except Refusal:
        raise unauthenticated() from None
    said = (holder.member.id, holder.role, holder.workspace.id, ",".join(holder.claims.amr))
    return Answer(headers=dict(zip(HEADERS, said, strict=True)))


def _holder(visit: Visit) -> PassChecked:
    given = request.args.getlist("workspace_id")
    header = request.headers.get("Authorization", "")
    # Another scheme is meant for the application behind the proxy.
    is_bearer = header.strip().partition(" ")[0].lower() == "bearer"
    token = bearer_of(header) if is_bearer else request.cookies.get(COOKIE)
    if len(given) != 1 or not ID.fullmatch(given[0]) or not token or len(token) > 4096:
        raise unauthenticated()
    holder: PassChecked = visit.run(CheckPass(token=token))
    if holder.workspace.id != given[0] or not holder.opens:
        raise unauthenticated()
    return holder
