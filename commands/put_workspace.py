"""Make a workspace known, or change its name and return addresses."""

from dataclasses import dataclass

from commands.grants import Done
from commands.ports import Context, Desk
from commands.profile import Profile, profile_of, seal_profile
from domain.facts import Fact
from domain.workspace import Workspace, WorkspaceCreated, WorkspaceRenamed


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PutWorkspace:
    """Return addresses are exact URLs; None leaves those registered as they are."""

    workspace_id: str
    name: str
    return_urls: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class WorkspacePut(Done):
    """Whether the workspace is new, and its profile now."""

    created: bool
    name: str
    return_urls: tuple[str, ...]


def handle(command: PutWorkspace, context: Context, desk: Desk) -> WorkspacePut:
    """Idempotent: the same profile again changes nothing."""
    workspace = desk.store.load(Workspace, command.workspace_id)
    before = profile_of(desk.vault, command.workspace_id)
    known = before.return_urls if before else ()
    urls = known if command.return_urls is None else command.return_urls
    profile = Profile(command.name, urls)
    facts: tuple[Fact, ...] = ()
    if not workspace.created:
        facts = (WorkspaceCreated(),)
    elif profile != before:
        facts = (WorkspaceRenamed(),)
    also = (seal_profile(desk.vault, workspace.id, profile),) if facts else ()
    position = desk.store.append(context, (workspace, facts), also=also)
    return WorkspacePut(
        position=position, created=not workspace.created, name=command.name, return_urls=urls
    )
