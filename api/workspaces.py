"""Workspaces, their members and their policy."""

from dataclasses import asdict

from api import answers, guards, past, reading, shown
from api.calls import Answer, Calls
from api.shapes import (
    AsOfPageQuery,
    AsOfQuery,
    MemberBody,
    MembershipPath,
    PageQuery,
    PolicyBody,
    WorkspaceBody,
    WorkspacePath,
)
from api.visits import Visit
from commands.contact import contact_of
from commands.put_member import PutMember
from commands.put_workspace import PutWorkspace
from commands.remove_member import RemoveMember
from commands.secrets import Proof
from commands.set_policy import SetPolicy
from domain.refusals import Malformed, Unreadable
from projections import coverage, progress, standing

calls = Calls("Workspaces")


@calls.put(
    "/v1/workspaces/<workspace_id>",
    guard=guards.host_puts_workspace,
    answers={200: answers.Workspace, 201: answers.Workspace},
)
def put_workspace(visit: Visit, path: WorkspacePath, body: WorkspaceBody) -> Answer:
    """Make a workspace known, or change its name and return addresses."""
    urls = None if body.return_urls is None else tuple(body.return_urls)
    put = visit.run(PutWorkspace(workspace_id=path.workspace_id, name=body.name, return_urls=urls))
    return Answer(
        status=201 if put.created else 200,
        body=answers.Workspace(
            workspace_id=path.workspace_id, name=put.name, return_urls=list(put.return_urls)
        ),
        position=put.position,
    )


@calls.put(
    "/v1/workspaces/<workspace_id>/members/<member_id>",
    guard=guards.host_puts_member,
    answers={200: answers.Member, 201: answers.Member},
    refuses=("email-taken", "erased"),
)
def put_member(visit: Visit, path: MembershipPath, body: MemberBody) -> Answer:
    """Make a member known, or change role, address, name or language."""
    put = visit.run(
        PutMember(
            workspace_id=path.workspace_id,
            member_id=path.member_id,
            email=body.email,
            name=body.name,
            role=body.role,
            locale=body.locale,
            confined=visit.caller.scope is not None,
        )
    )
    return Answer(
        status=201 if put.created else 200,
        body=answers.Member(
            workspace_id=path.workspace_id,
            member_id=path.member_id,
            email=body.email,
            name=body.name,
            role=body.role,
            locale=put.locale,
        ),
        position=put.position,
    )


@calls.delete(
    "/v1/workspaces/<workspace_id>/members/<member_id>",
    guard=guards.host_of_member,
    answers={204: None},
)
def remove_member(visit: Visit, path: MembershipPath) -> Answer:
    """End a membership; the binding stays with the account."""
    done = visit.run(RemoveMember(workspace_id=path.workspace_id, member_id=path.member_id))
    return Answer(status=204, position=done.position)


@calls.get(
    "/v1/workspaces/<workspace_id>/mfa-policy",
    guard=guards.past_for_auditors("host", "owner"),
    answers={200: past.AnyPolicy},
    reads=standing.KEY,
)
def get_mfa_policy(visit: Visit, path: WorkspacePath, query: AsOfQuery) -> Answer:
    """The policy now, or as of a time or position, which auditors may ask too."""
    assert visit.workspace is not None
    if query.as_of is not None:
        return Answer(body=past.policy(visit, path.workspace_id, query.as_of))
    now = reading.policy_now(visit.backend, visit.workspace)
    return Answer(body=answers.Policy.model_validate(shown.policy_fields(now)))


@calls.put(
    "/v1/workspaces/<workspace_id>/mfa-policy",
    guard=guards.in_workspace("host", "owner", closed=True),
    answers={200: answers.Policy},
    refuses=("not-bound", "locked", "code-rejected"),
    repeatable=True,
)
def put_mfa_policy(visit: Visit, path: WorkspacePath, body: PolicyBody) -> Answer:
    """Enforce or lift the policy: the host without a code, an owner with a fresh one."""
    owner = visit.caller.member_id if visit.caller.role == "owner" else None
    if owner is None and body.code is not None:
        raise Malformed("code: the host sends none.")
    if owner is not None and body.code is None:
        raise Malformed("code: an owner gives a fresh one.")
    done = visit.run(
        SetPolicy(
            workspace_id=path.workspace_id,
            mode=body.mode,
            grace_until=body.grace_until,
            owner_id=owner,
            proof=Proof(code=body.code) if body.code else None,
        )
    )
    policy = answers.Policy.model_validate(shown.policy_fields(done))
    return Answer(body=policy, position=done.position)


@calls.get(
    "/v1/workspaces/<workspace_id>/mfa-policy/preview",
    guard=guards.in_workspace("host", "owner"),
    answers={200: answers.Preview},
    reads=standing.KEY,
)
def preview_mfa_policy(visit: Visit, path: WorkspacePath, query: PageQuery) -> Answer:
    """Who would be stopped if the policy were enforced without grace."""
    paging = reading.paging(visit.backend, query, "preview", path.workspace_id)
    with visit.backend.reads.connection() as connection:
        seen = coverage.preview(
            connection,
            path.workspace_id,
            visit.at,
            after=paging.after_text(),
            limit=paging.wanted,
        )
    page, cursor = paging.cut(seen.items, lambda item: item.member_id)
    items = [
        answers.PreviewItem(
            member_id=item.member_id, name=_name(visit, item.member_id), bound=item.bound
        )
        for item in page
    ]
    preview = answers.Preview(
        members=seen.members, stopped=seen.stopped, items=items, next_cursor=cursor
    )
    return Answer(body=preview)


@calls.get(
    "/v1/workspaces/<workspace_id>/coverage",
    guard=guards.past_for_auditors("host", "owner"),
    answers={200: past.AnyCoverage},
    reads=standing.KEY,
)
def get_coverage(visit: Visit, path: WorkspacePath, query: AsOfPageQuery) -> Answer:
    """How many members are bound, in grace, overdue and locked, and where each stands.

    As of a time or position, which auditors may ask too, every member's stream is replayed.
    """
    paging = reading.paging(visit.backend, query, "coverage", path.workspace_id)
    if query.as_of is not None:
        return Answer(body=past.coverage(visit, path.workspace_id, query.as_of, paging))
    with visit.backend.reads.connection() as connection:
        position = progress.complete_up_to(connection, standing.KEY)
        counts = coverage.counts(connection, path.workspace_id, visit.at)
        found = coverage.items(
            connection,
            path.workspace_id,
            visit.at,
            after=paging.after_text(),
            limit=paging.wanted,
        )
    page, cursor = paging.cut(found, lambda item: item.member_id)
    covered = answers.Coverage.model_validate(
        {
            **asdict(counts),
            "as_of": {"time": visit.at, "position": position},
            "items": [asdict(item) for item in page],
            "next_cursor": cursor,
        }
    )
    return Answer(body=covered)


def _name(visit: Visit, member_id: str) -> str | None:
    """None also where it cannot be read: the others' names are shown."""
    try:
        contact = contact_of(visit.desk.vault, member_id)
    except Unreadable:
        return None
    return contact.name if contact else None
