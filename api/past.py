"""The same questions about the past: members, policies and coverage as of a time or position."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from pydantic import RootModel

from api import answers, reading, shown
from api.reading import Paging
from api.visits import Visit
from projections import as_of, audit_trail
from projections.as_of import Cut


class PolicyThen(answers.Policy):
    """The policy as of then, and the id of the event that made it so."""

    as_of: answers.AsOf
    because: str | None


class AnyPolicy(RootModel[PolicyThen | answers.Policy]):
    """The policy now, or as of then."""


class CoverageThen(answers.Coverage):
    """The coverage as of then, and the id of the newest event that changed it."""

    because: str | None


class AnyCoverage(RootModel[CoverageThen | answers.Coverage]):
    """The coverage now, or as of then."""


class MfaThen(answers.Mfa):
    """A member's second factor as of then, and the id of the event that made the status so."""

    as_of: answers.AsOf
    because: str | None


class AnyMfa(RootModel[MfaThen | answers.Mfa]):
    """A member's second factor now, or as of then."""


def mfa(visit: Visit, member_id: str, place: int | datetime) -> MfaThen:
    """Where the member stood."""
    cut = _cut(visit, place)
    with visit.backend.reads.connection() as connection:
        then = as_of.member(connection, cut, member_id)
    fields = shown.mfa_fields(then.state, cut.time)
    return MfaThen.model_validate({**fields, **_cited(cut, then.because)})


def policy(visit: Visit, workspace_id: str, place: int | datetime) -> PolicyThen:
    """The policy that held."""
    cut = _cut(visit, place)
    with visit.backend.reads.connection() as connection:
        then = as_of.policy(connection, cut, workspace_id)
    fields = shown.policy_fields(then.state)
    return PolicyThen.model_validate({**fields, **_cited(cut, then.because)})


def coverage(
    visit: Visit, workspace_id: str, place: int | datetime, paging: Paging
) -> CoverageThen:
    """The coverage that was; waits until the audit trail knows who was ever a member."""
    cut = _cut(visit, place)
    reading.wait(visit, audit_trail.KEY, cut.position)
    with visit.backend.reads.connection() as connection:
        then = as_of.coverage(connection, cut, workspace_id)
    after = paging.after_text()
    found = [item for item in then.items if item.member_id > after][: paging.wanted]
    page, cursor = paging.cut(found, lambda item: item.member_id)
    return CoverageThen.model_validate(
        {
            **asdict(then.counts),
            **_cited(cut, then.because),
            "items": [asdict(item) for item in page],
            "next_cursor": cursor,
        }
    )


def _cut(visit: Visit, place: int | datetime) -> Cut:
    """The cut asked for; a position that others are about to fill is waited for."""
    with visit.backend.reads.connection() as connection:
        if isinstance(place, datetime):
            return as_of.at_time(connection, place, visit.at)
        as_of.refuse_beyond(connection, place)
    reading.wait(visit, reading.STORE, place)
    with visit.backend.reads.connection() as connection:
        return as_of.at_position(connection, place)


def _cited(cut: Cut, because: int | None) -> dict[str, Any]:
    return {
        "as_of": {"time": cut.time, "position": cut.position},
        "because": None if because is None else str(because),
    }
