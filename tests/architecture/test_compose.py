"""The image and the compose file start what they should, and hold no secret."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from twinlock.settings import Settings

ROOT = Path(__file__).parents[2]
Services = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return content


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> Services:
    found: Services = compose["services"]
    return found


@pytest.fixture(scope="module")
def dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text()


def has_compose() -> bool:
    docker = shutil.which("docker")
    asked = docker and subprocess.run([docker, "compose", "version"], capture_output=True)
    return bool(asked and asked.returncode == 0)


@pytest.mark.skipif(not has_compose(), reason="the docker client has no compose plugin")
def test_compose_accepts_the_file() -> None:
    env = {"POSTGRES_PASSWORD": "x", "MASTER_KEY": "k1:x", "PATH": "/usr/local/bin:/usr/bin:/bin"}
    subprocess.run(["docker", "compose", "config", "--quiet"], cwd=ROOT, env=env, check=True)


def test_every_process_has_its_service(services: Services) -> None:
    commands = {name: part["command"] for name, part in services.items() if "build" in part}
    assert commands == {
        "migrate": ["migrate"],
        "api": ["serve"],
        "relay": ["worker", "relay"],
        "projectors": ["worker", "project"],
        "mailer": ["worker", "mail"],
        "notary": ["worker", "notary"],
    }


def test_whoever_is_waited_for_says_when_it_is_there(services: Services) -> None:
    for part in services.values():
        for name, wait in part.get("depends_on", {}).items():
            if wait["condition"] == "service_healthy":
                assert services[name]["healthcheck"]["test"]
            else:
                assert services[name]["restart"] == "no"


def test_every_image_names_its_version(services: Services, dockerfile: str) -> None:
    images = [part["image"] for part in services.values()]
    images += re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)
    for image in images:
        name, _, tag = image.partition(":")
        assert "." not in name, f"{image} names a registry"
        assert re.match(r"v?[0-9]", tag), image


def test_ports_are_open_to_this_machine_alone(services: Services) -> None:
    ports = [port for part in services.values() for port in part.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_no_secret_has_a_default(compose: dict[str, Any], services: Services) -> None:
    assert all(set(secret) == {"environment"} for secret in compose["secrets"].values())
    for part in services.values():
        for name, value in part["environment"].items() if "environment" in part else []:
            if re.search("PASSWORD|KEY|TOKEN|SECRET|DATABASE", name):
                assert name.endswith("_FILE") or ":?" in str(value) or value == f"${{{name}:-}}"


def test_every_setting_of_a_service_can_be_given(services: Services) -> None:
    settings = {f"TWINLOCK_{name.upper()}" for name in Settings.model_fields}
    given = services["api"]["environment"]
    assert set(given) == settings - {"TWINLOCK_MASTER_KEY", "TWINLOCK_DEMO"}
    fixed = {name for name, value in given.items() if not value.startswith(f"${{{name}:-")}
    assert fixed == {"TWINLOCK_HTTP", "TWINLOCK_MASTER_KEY_FILE"}


def test_what_the_file_asks_beside_the_settings_is_told() -> None:
    asked = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text()))
    others = {name for name in asked if not name.startswith("TWINLOCK_")} - {"POSTGRES_PASSWORD"}
    told = (ROOT / "docs/operations.md").read_text()
    assert others
    assert all(f"`{name}`" in told for name in others)


def test_who_may_need_a_server_of_others_is_let_out(services: Services) -> None:
    inside = {name for name, part in services.items() if part["networks"] == ["inside"]}
    assert inside == {"postgres", "kafka"}


def test_volumes_and_networks_are_declared(compose: dict[str, Any], services: Services) -> None:
    for part in services.values():
        assert set(part["networks"]) <= set(compose["networks"])
        assert {v.partition(":")[0] for v in part.get("volumes", [])} <= set(compose["volumes"])


def test_the_image_runs_as_nobody_special(dockerfile: str) -> None:
    last_stage = dockerfile.rpartition("\nFROM ")[2]
    assert re.search(r"^USER 10001:10001$", last_stage, re.MULTILINE)
    assert "HEALTHCHECK" in last_stage


def test_the_image_takes_libraries_by_hash(dockerfile: str) -> None:
    assert "--require-hashes" in dockerfile


def test_the_image_holds_every_package_and_no_development_part(dockerfile: str) -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for package in ("domain", "commands", "projections", "api", "workers", "twinlock"):
        assert f"COPY {package} {package}" in dockerfile
        assert f"!{package}" in ignored
    assert "twinlock/dev" in ignored
