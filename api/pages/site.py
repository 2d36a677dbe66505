"""Puts pages up: who asks, whether the form is ours, the guard, the view, and what goes wrong."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import structlog
from flask import Flask, Response, g, redirect, request, url_for
from flask_babel.speaklater import LazyString

from api import language
from api.backend import Backend
from api.callers import Caller
from api.guards import Guard
from api.pages import problems, times
from api.pages.browsers import LOGIN, MEMBER, Browser
from api.pages.origin import receive_form, require_own_form
from api.pages.page import Page
from api.pages.refusals import StaleForm
from api.refusals import Internal
from api.visits import Visit
from domain.refusals import Refusal, Unauthenticated

View = Callable[[Visit], Page | Response]


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the menu, for callers of these roles."""

    endpoint: str
    words: LazyString
    roles: tuple[str, ...]


class Site:
    """All pages of one application."""

    def __init__(self, app: Flask, backend: Backend) -> None:
        """Prepare the templates; there is no page yet."""
        self._app = app
        self.backend = backend
        self._menu: list[Entry] = []
        self._binding: set[str] = set()
        self._log = structlog.get_logger("pages")
        language.install(app)
        times.install(app)
        app.jinja_env.globals.update(
            csrf_field=problems.csrf_field, way_back=language.way_back, menu=self.entries, me=me
        )

    def get(
        self, rule: str, endpoint: str, guard: Guard, view: View, *, place: str = MEMBER
    ) -> None:
        """Show something."""
        self._add("GET", rule, endpoint, guard, view, place)

    def post(
        self,
        rule: str,
        endpoint: str,
        guard: Guard,
        view: View,
        *,
        place: str = MEMBER,
        binds: bool = False,
    ) -> None:
        """Take a form of ours; where it `binds`, the same address also shows what came of it."""
        self._add("POST", rule, endpoint, guard, view, place)
        if binds:
            self._binding.add(endpoint)

    def menu(self, endpoint: str, words: LazyString, *roles: str) -> None:
        """Add a line to the menu of callers with one of the roles; none means everybody's."""
        self._menu.append(Entry(endpoint, words, roles))

    def entries(self) -> list[Entry]:
        """The menu of whoever asks."""
        caller = me()
        if caller is None or caller.holder is None:
            return []
        role = caller.role if caller.opens or caller.role == "owner" else "member"
        return [entry for entry in self._menu if not entry.roles or role in entry.roles]

    def _add(
        self, method: str, rule: str, endpoint: str, guard: Guard, view: View, place: str
    ) -> None:
        answer = partial(self._answer, guard, view, place)
        self._app.add_url_rule(
            rule, endpoint, answer, methods=[method], provide_automatic_options=False
        )

    def _answer(self, guard: Guard, view: View, place: str, **path: Any) -> Response:
        try:
            response = self._answered(guard, view, place, path)
        except Refusal as refusal:
            response = self._refused(refusal, place)
        except Exception as error:
            self._log.error("failed", exc_info=error)
            response = problems.page(Internal()).response()
        if (browser := g.get("browser")) is not None:
            browser.put_cookies(response)
        return response

    def _answered(self, guard: Guard, view: View, place: str, path: Mapping[str, Any]) -> Response:
        g.seal_key = self.backend.desk.keys.derived("csrf")
        receive_form()
        visit = self.visit(place)
        if request.method == "POST":
            require_own_form(g.browser, self.backend.public_url)
        guarded = guard(visit, {name: str(value) for name, value in path.items()})
        answer = view(guarded)
        return answer.response() if isinstance(answer, Page) else answer

    def visit(self, place: str = MEMBER) -> Visit:
        """The request under way, by whoever the browser's session says."""
        at = self.backend.clock()
        g.browser = Browser(self.backend, at, place, {})
        visit = Visit(backend=self.backend, desk=self.backend.desk, at=at, request_id=g.request_id)
        g.caller = g.browser.caller(visit.context)
        return replace(visit, caller=g.caller)

    def _refused(self, refusal: Refusal, place: str) -> Response:
        signs_in, in_login = self.backend.passwords is not None, place == LOGIN
        asks = request.method == "GET" and not in_login
        if isinstance(refusal, Unauthenticated) and signs_in and asks:
            asked = language.way_back()
            return redirect(url_for("sign_in.ask", next=asked), 303)  # type: ignore[return-value]
        if isinstance(refusal, StaleForm) and request.endpoint in self._binding and _bound():
            return Page.elsewhere(request.path)
        return problems.page(refusal, in_login=in_login, signs_in=signs_in).response()


def _bound() -> bool:
    """Whether the member who asks has an authenticator by now."""
    member = g.caller.member
    return member is not None and member.bound


def me() -> Caller | None:
    """Whoever asks, for the templates."""
    caller: Caller | None = g.get("caller")
    return caller
