"""The software bill of materials: what the locks pin, as CycloneDX 1.6.

    python -m twinlock.dev.sbom build/sbom.json

The same locks make the same bytes. What the service runs is `required`; what only development
and tests need is `excluded`, which is CycloneDX's word for it.
"""

import json
import re
import sys
import tomllib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
SERVICE, EVERYTHING = "requirements.lock", ("requirements-dev.lock", "requirements-kafka.lock")
PIN: Final = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;\\]+)")
HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Pinned:
    """A library at a version, and the SHA-256 of every file that may be installed as it."""

    name: str
    version: str
    hashes: tuple[str, ...]

    @property
    def purl(self) -> str:
        """Its package URL."""
        return f"pkg:pypi/{self.name.lower().replace('_', '-')}@{self.version}"

    def component(self, scope: str) -> dict[str, Any]:
        """As CycloneDX writes it."""
        return {
            "type": "library",
            "bom-ref": self.purl,
            "name": self.name,
            "version": self.version,
            "scope": scope,
            "purl": self.purl,
            "hashes": [{"alg": "SHA-256", "content": one} for one in self.hashes],
        }


def pinned(lock: str) -> Iterator[Pinned]:
    """What a lock pins, in its order."""
    for entry in re.split(r"\n(?=[A-Za-z0-9])", lock):
        if found := PIN.match(entry):
            yield Pinned(found[1], found[2], tuple(sorted(HASH.findall(entry))))


def bill() -> dict[str, Any]:
    """The document."""
    locks = {name: (ROOT / name).read_text() for name in (SERVICE, *EVERYTHING)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = {each.purl: each for each in pinned(locks[SERVICE])}
    others = {e.purl: e for name in EVERYTHING for e in pinned(locks[name])}
    components = [each.component("required") for each in required.values()]
    components += [e.component("excluded") for purl, e in others.items() if purl not in required]
    serial = uuid.uuid5(uuid.NAMESPACE_URL, "\n".join(locks.values()))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": project["name"],
                "name": project["name"],
                "version": project["version"],
            }
        },
        "components": sorted(components, key=lambda one: str(one["bom-ref"])),
    }


def main(path: str) -> None:
    """Write the document."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(bill(), indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
