"""The house's rules of form: a pure domain, one verb a file, small files, plain docstrings."""

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from importlib import import_module
from inspect import isclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("domain", "commands", "projections", "api", "workers", "twinlock")
MODULES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
IMPURE = {"os", "random", "secrets", "time", "uuid", "socket", "io", "pathlib"}
CLOCKS = {"now", "today", "utcnow"}
SHARED = {
    "agents",
    "contact",
    "dispatch",
    "grants",
    "live_login",
    "mailed",
    "open_tickets",
    "ports",
    "profile",
    "secrets",
    "ticket_text",
}
"""What commands share; every other file of the folder is a verb."""
VERBS = [
    path.stem for path in sorted((ROOT / "commands").glob("[!_]*.py")) if path.stem not in SHARED
]
SECRET = re.compile(r"<(token|\w*_token|\w*code|secret|email|name|reason|\w+_codes|otpauth_uri)>")


def name(path: Path) -> str:
    """The file as it is named in the checkout."""
    return str(path.relative_to(ROOT))


def imports(tree: ast.AST) -> Iterator[str]:
    """The top names of all that a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("path", sorted((ROOT / "domain").glob("*.py")), ids=name)
def test_the_domain_knows_neither_clock_nor_chance_nor_machine(path: Path) -> None:
    tree = ast.parse(path.read_text())
    asked = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not IMPURE & set(imports(tree))
    assert not CLOCKS & asked


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_is_small_and_says_what_it_is(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    sentence = (ast.get_docstring(tree) or "").partition("\n\n")[0]
    assert re.fullmatch(r"[^.]+(\.\S[^.]*)*[.?]", sentence), "begins with a sentence"
    assert len(text.splitlines()) <= 330
    assert len(path.relative_to(ROOT).parts) <= 3
    functions = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef))
    assert [f.name for f in functions if (f.end_lineno or 0) - f.lineno >= 45] == []


@pytest.mark.parametrize("verb", VERBS)
def test_a_command_is_a_frozen_request_and_its_handle(verb: str) -> None:
    module = import_module(f"commands.{verb}")
    request = getattr(module, verb.title().replace("_", "").replace("Mfa", "MFA"))
    assert request.__dataclass_params__.frozen
    assert all(field.kw_only for field in fields(request))
    assert module.handle.__annotations__["command"] is request


@pytest.mark.parametrize("path", sorted((ROOT / "commands").glob("[!_]*.py")), ids=name)
def test_a_secret_shows_in_no_repr(path: Path) -> None:
    module = import_module(f"commands.{path.stem}")
    shapes: list[Any] = [each for each in vars(module).values() if isclass(each)]
    for shape in shapes:
        if shape.__module__ == module.__name__ and "__dataclass_fields__" in vars(shape):
            shown = repr(shape(**{f.name: f"<{f.name}>" for f in fields(shape)}))
            assert not SECRET.search(shown), shown
