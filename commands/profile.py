"""A workspace's profile as the vault keeps it: its name and return addresses."""

import json
from dataclasses import asdict, dataclass

from commands.ports import Vault, Write


@dataclass(frozen=True, slots=True, repr=False)
class Profile:
    """What the workspace is called, and the exact URLs that its logins may return to."""

    name: str
    return_urls: tuple[str, ...]


def seal_profile(vault: Vault, workspace_id: str, profile: Profile) -> Write:
    """Keep the profile, in place of an older one."""
    return vault.seal(*_place(workspace_id), json.dumps(asdict(profile)).encode())


def open_profile(vault: Vault, workspace_id: str) -> Profile:
    """The workspace's profile; raises Unavailable where it is missing."""
    return _read(vault.open(*_place(workspace_id)))


def profile_of(vault: Vault, workspace_id: str) -> Profile | None:
    """The same, or None where the workspace is unknown."""
    sealed = vault.peek(*_place(workspace_id))
    return _read(sealed) if sealed else None


def workspace_name(vault: Vault, workspace_id: str) -> str:
    """The workspace's name, or its id where there is none."""
    profile = profile_of(vault, workspace_id)
    return profile.name if profile else workspace_id


def _place(workspace_id: str) -> tuple[str, str]:
    return f"workspace/{workspace_id}", "profile"


def _read(sealed: bytes) -> Profile:
    said = json.loads(sealed)
    return Profile(said["name"], tuple(said["return_urls"]))
