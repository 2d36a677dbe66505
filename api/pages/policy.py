"""An owner's workspace policy: what is in force, who would be stopped, and the change itself."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from flask import Response, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext, ngettext

from api import answers, reading, workspaces
from api.pages import staff, typed
from api.pages.event_words import actor_in_words
from api.pages.page import Page
from api.pages.site import Site
from api.pages.times import in_utc
from api.shapes import PolicyBody, WorkspacePath
from api.visits import Visit
from commands.profile import workspace_name
from domain.refusals import Malformed, NotBound, Refusal
from domain.times import rfc3339
from domain.workspace import ENFORCED, OFF, Workspace
from projections import standing

PAGE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The policy that the owner has in mind; days are those of UTC.

    Grace ends as its day begins; where that is the day on which it ends now, the time stays too.
    """

    mode: str
    day: date | None
    ends_now: datetime | None

    @property
    def grace_until(self) -> datetime | None:
        """When members without MFA are stopped; None: at once."""
        if self.day is None or not self.enforced:
            return None
        if self.ends_now is not None and self.ends_now.date() == self.day:
            return self.ends_now
        return datetime.combine(self.day, time(), UTC)

    @property
    def enforced(self) -> bool:
        """Whether members need MFA."""
        return self.mode == ENFORCED


def add_to(site: Site) -> None:
    """Add the pages."""
    owner = staff.at_home("owner")
    site.menu("policy.show", lazy_gettext("MFA policy"), "owner")
    site.get("/policy", "policy.show", owner, show)
    site.get("/policy/preview", "policy.preview", owner, preview)
    site.post("/policy", "policy.save", owner, save)


def show(visit: Visit, *, wish: Wish | None = None, wrong: str = "") -> Page:
    """The policy now, and a form that leads to the preview."""
    assert visit.workspace is not None
    now = reading.policy_now(visit.backend, visit.workspace)
    by, ends = now.changed_by, _end_of_grace(now, visit.at)
    day = wish.day if wish else ends.date() if ends else None
    return Page(
        "staff/policy.html",
        workspace=workspace_name(visit.desk.vault, visit.workspace.id),
        policy=now,
        ends=ends,
        mode=_("Enforced") if now.mode == ENFORCED else _("Off"),
        changed_by=f"{actor_in_words(by.kind)} {by.id or ''}".strip() if by else None,
        chosen=wish.mode if wish else now.mode,
        grace=day.isoformat() if day else "",
        tomorrow=(visit.at + timedelta(days=1)).date().isoformat(),
        wrong={"grace": wrong} if wrong else None,
    )


def preview(visit: Visit) -> Page:
    """Whom the policy would stop, by name, before anything is saved."""
    wish = _wish(visit, staff.argument)
    return _too_late(visit, wish) or _preview(visit, wish)


def save(visit: Visit) -> Page | Response:
    """Set the policy with the owner's fresh code."""
    wish = _wish(visit, typed.text)
    if late := _too_late(visit, wish):
        return late
    code, wrong = typed.digits(typed.text("code"))
    if code is None:
        return _preview(visit, wish, wrong=wrong)
    body = PolicyBody.model_validate(
        {"mode": wish.mode, "grace_until": rfc3339(wish.grace_until), "code": code}
    )
    try:
        done = workspaces.put_mfa_policy(visit, _path(visit), body)
    except NotBound as refusal:
        unbound = _("No authenticator is bound. Bind one in the security settings first.")
        return _preview(visit, wish, wrong=unbound, rejected=refusal)
    except Refusal as refusal:
        return _preview(visit, wish, refusal=refusal)
    staff.settle(visit, done.position, standing.KEY)
    said = _("MFA is enforced.") if wish.enforced else _("MFA is no longer enforced.")
    return Page.elsewhere(url_for("policy.show"), said)


def _too_late(visit: Visit, wish: Wish) -> Page | None:
    """The form again where grace would have ended, be it while the preview was read."""
    if (grace := wish.grace_until) is None or grace > visit.at:
        return None
    return show(visit, wish=wish, wrong=_("Choose a day in the future."))


def _preview(
    visit: Visit,
    wish: Wish,
    *,
    wrong: str = "",
    refusal: Refusal | None = None,
    rejected: Refusal | None = None,
) -> Page:
    query = staff.page_asked_for(PAGE)
    seen = workspaces.preview_mfa_policy(visit, _path(visit), query).body
    assert isinstance(seen, answers.Preview)
    asked: dict[str, Any] = {
        "mode": wish.mode,
        "grace_until": wish.day.isoformat() if wish.day else "",
    }
    there = url_for("policy.preview", **asked)
    return Page(
        "staff/policy_preview.html",
        refusal=refusal,
        rejected=rejected,
        headline=_headline(seen.members, seen.stopped, wish),
        consequence=_consequence(wish),
        stopped=seen.items if wish.enforced else (),
        first=there if query.cursor else None,
        next=url_for("policy.preview", **asked, cursor=seen.next_cursor)
        if seen.next_cursor
        else None,
        chosen=wish.mode,
        grace=asked["grace_until"],
        save=_("Enforce MFA") if wish.enforced else _("Switch MFA off"),
        wrong=wrong,
    )


def _headline(members: int, stopped: int, wish: Wish) -> str:
    if not wish.enforced:
        return _("No member will be stopped")
    return ngettext(
        "%(stopped)s of %(num)s member will be stopped",
        "%(stopped)s of %(num)s members will be stopped",
        members,
        stopped=stopped,
    )


def _consequence(wish: Wish) -> str:
    if not wish.enforced:
        return _(
            "Members without MFA enter with their password alone. Bound members still give a code."
        )
    if wish.grace_until is None:
        return _(
            "From now on they enter only after binding an authenticator. They can do so"
            " when they next log in."
        )
    return _(
        "Until %(until)s they may skip binding an authenticator; from then on they are stopped.",
        until=in_utc(wish.grace_until),
    )


def _end_of_grace(policy: Workspace, at: datetime) -> datetime | None:
    """When the grace that is given at `at` ends, in UTC."""
    given = policy.in_grace(at) and policy.grace_until
    return given.astimezone(UTC) if given else None


def _wish(visit: Visit, given: Callable[[str], str]) -> Wish:
    assert visit.workspace is not None
    mode = given("mode")
    if mode not in (OFF, ENFORCED):
        raise Malformed("mode: is off or enforced.")
    text = given("grace_until")
    try:
        day = date.fromisoformat(text) if text else None
    except ValueError:
        raise Malformed("grace_until: is a day.") from None
    now = reading.policy_now(visit.backend, visit.workspace)
    return Wish(mode=mode, day=day, ends_now=_end_of_grace(now, visit.at))


def _path(visit: Visit) -> WorkspacePath:
    assert visit.workspace is not None
    return WorkspacePath(workspace_id=visit.workspace.id)
