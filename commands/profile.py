"""A workspace's profile as the vault keeps it: its name and return addresses."""

import json
from dataclasses import asdict, dataclass

from commands.ports import Vault

PROFILE = "profile"


@dataclass(frozen=True, slots=True, repr=False)
class Profile:
    """What the workspace is called, and the exact URLs that its logins may return to."""

    name: str
    return_urls: tuple[str, ...]

    def sealed(self) -> bytes:
        """The bytes to seal."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def parse(cls, sealed: bytes) -> "Profile":
        """Read what `sealed` wrote."""
        said = json.loads(sealed)
        return cls(said["name"], tuple(said["return_urls"]))


def profile_of(vault: Vault, workspace_id: str) -> Profile | None:
    """The workspace's profile; None where it is unknown."""
    sealed = vault.peek(f"workspace/{workspace_id}", PROFILE)
    return Profile.parse(sealed) if sealed else None


def workspace_name(vault: Vault, workspace_id: str) -> str:
    """The workspace's name, or its id where there is none."""
    profile = profile_of(vault, workspace_id)
    return profile.name if profile else workspace_id
