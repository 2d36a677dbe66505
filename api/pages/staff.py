"""What the staff's pages share: what is asked of them, and what they say of a workspace."""

from dataclasses import dataclass

from flask import request
from pydantic import ValidationError

from api import reading
from api.cursors import forged
from api.guards import Guard, in_workspace
from api.shapes import PageQuery
from api.visits import Arguments, Visit
from domain.refusals import Malformed, NotYetVisible

MOST_DIGITS = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """A choice that is a link."""

    text: str
    href: str
    chosen: bool = False
    count: str | None = None


def at_home(*roles: str) -> Guard:
    """Callers with one of the roles, in the workspace that they are signed in to."""
    guard = in_workspace(*roles)

    def in_own_workspace(visit: Visit, path: Arguments) -> Visit:
        here = visit.known().workspace_id or ""
        return guard(visit, {**path, "workspace_id": here})

    return in_own_workspace


def argument(name: str) -> str:
    """What stands under the name in the address; empty where nothing does."""
    return request.args.get(name, "").strip()


def one_of(name: str, known: tuple[str, ...]) -> str:
    """One of the known values, the first where none is given; raises Malformed for others."""
    given = argument(name) or known[0]
    if given not in known:
        raise Malformed(f"{name}: is none of those that there are.")
    return given


def number(name: str) -> int:
    """A whole number in the address, 0 where there is none; raises Malformed for others."""
    given = argument(name) or "0"
    if not (given.isascii() and given.isdigit() and len(given) <= MOST_DIGITS):
        raise Malformed(f"{name}: is no whole number.")
    return int(given)


def page_asked_for(limit: int) -> PageQuery:
    """The page of a list that the address asks for; raises Malformed for an odd cursor."""
    cursor = argument("cursor") or None
    try:
        return PageQuery.model_validate({"cursor": cursor, "limit": str(limit)})
    except ValidationError:
        raise forged() from None


def settle(visit: Visit, position: int | None, *models: str) -> None:
    """Wait until the next page shows what was done; one that is late is shown as it is."""
    for model in models:
        try:
            reading.wait(visit, model, position or 0)
        except NotYetVisible:
            return
