"""What every request passes through: id, credential, guard, position, log line."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import structlog
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect

from api import repeats
from api.alike import alike
from api.arguments import arguments_of
from api.backend import Backend, Outcome
from api.callers import NOBODY, bearer_of, caller_of, genuine
from api.calls import CHANGES, Answer, Call
from api.fields import ID
from api.limits import admit_anonymous
from api.metrics import Metrics
from api.problems import document, problem
from api.reading import wait
from api.refusals import InProgress, Internal, MethodNotAllowed, TooLarge, UnsupportedMediaType
from api.repeats import Repeat
from api.strict_json import StrictRequest, current
from api.visits import Visit
from commands.ports import Once, Write
from domain.refusals import Malformed, NotFound, Refusal, Unavailable


class Pipeline:
    """Hangs on to a Flask application; handlers see a request only once it is let in."""

    def __init__(self, backend: Backend, metrics: Metrics) -> None:
        """Know no calls yet."""
        self._backend = backend
        self.metrics = metrics
        self._log = structlog.get_logger("api")
        self.calls: dict[str, Call] = {}

    def attach(self, app: Flask) -> None:
        """Stand before, behind and under every view."""
        app.before_request(self.arrive)
        app.after_request(self.leave)
        app.register_error_handler(Refusal, self.refuse)
        app.register_error_handler(HTTPException, self.refuse_http)
        app.register_error_handler(Exception, self.fail)

    def arrive(self) -> Response | None:
        """Identify the request and its caller, and let it in or refuse."""
        g.started = time.perf_counter()
        here = current()
        g.request_id = request_id = _request_id(here.headers.get("X-Request-Id"))
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        call = self.calls.get(here.endpoint or "")
        if call is None:
            return None
        if call.method in CHANGES:
            here.receive()
        backend = self._backend
        desk = backend.sit(backend.desk)
        visit = Visit(backend=backend, desk=desk, at=backend.clock(), request_id=request_id)
        return self._let_in(visit, call, here)

    def answer(self, call: Call) -> Response:
        """Read what the handler is given, wait where the query says so, then ask the handler."""
        visit: Visit = g.visit
        arguments = arguments_of(call, current())
        if "query" in arguments and call.reads:
            wait(visit, call.reads, arguments["query"].at_least)
        if repeat := g.get("repeat"):
            repeat.evaluated = True
        said = self._said(call, visit, arguments)
        body = said.body.model_dump_json(by_alias=True) if said.body is not None else ""
        response = Response(said.stream or body, status=said.status, mimetype=said.media_type)
        if said.body is None and said.stream is None:
            del response.headers["Content-Type"]
        if said.closed is not None:
            response.call_on_close(said.closed)
        response.headers.update(said.headers)
        if said.position is not None:
            response.headers["Twinlock-Position"] = str(said.position)
        return response

    def _said(self, call: Call, visit: Visit, arguments: Mapping[str, Any]) -> Answer:
        """What the handler says; without a login it takes an address, and tells nothing by time."""
        if not call.optional or visit.caller.login is not None:
            return call.handler(visit, **arguments)
        if arguments["body"].email is None:
            raise Malformed("email: is missing.")
        admit_anonymous(visit)
        with alike():
            return call.handler(visit, **arguments)

    def refuse(self, refusal: Refusal) -> Response:
        """Say no, as problem+json."""
        return problem(
            refusal, public_url=self._backend.public_url, request_id=g.get("request_id", "")
        )

    def refuse_http(self, error: HTTPException) -> Response:
        """The framework's own refusals, in our words; `Allow` stays on a 405."""
        known: dict[int | None, Refusal] = {
            404: NotFound("There is nothing at this address."),
            405: MethodNotAllowed("The address does not take this method."),
            413: TooLarge("The body is longer than 64 KiB."),
            415: UnsupportedMediaType("Send application/json."),
        }
        response = self.refuse(known.get(error.code) or Malformed("The request is malformed."))
        for name, value in error.get_headers(request.environ):
            if name == "Allow":
                response.headers[name] = value
        return response

    def fail(self, error: Exception) -> Response:
        """Something is wrong here: one line in the log, and nothing of it in the answer."""
        self._log.error("failed", exc_info=error)
        return self.refuse(Internal("Something went wrong. The request id helps to find it."))

    def leave(self, response: Response) -> Response:
        """Say id and position, settle a repeatable request, write the log line."""
        if isinstance(request.routing_exception, RequestRedirect):
            response = _elsewhere(request.routing_exception)
        if repeat := g.get("repeat"):
            self._position(response)
            repeats.settle(self._backend, repeat, response)
        elif self._is_command():
            self._position(response)
        response.headers["X-Request-Id"] = g.get("request_id", "")
        self._note(response)
        return response

    def _let_in(self, visit: Visit, call: Call, here: StrictRequest) -> Response | None:
        token = bearer_of(here.headers.get("Authorization")) if call.expects else None
        desk = visit.desk
        found = genuine(desk, token, visit.at, call.expects or "") if token else None
        try:
            outcome = self._begin(call, token)
            refusal = None
        except Refusal as refused:
            outcome, refusal = None, refused
        if outcome is not None:
            return repeats.replayed(outcome)
        caller = caller_of(desk, visit.context, token, found) if token else NOBODY
        if isinstance(refusal, InProgress):
            raise refusal  # the guard would meet what the first request has done
        visit = replace(visit, caller=caller, once=self._once(call))
        g.visit = call.guard(visit, here.view_args or {})
        if refusal is not None:
            raise refusal
        return None

    def _begin(self, call: Call, token: str | None) -> Outcome | None:
        """Claim the Idempotency-Key; the outcome where the request was carried out before."""
        key = request.headers.get("Idempotency-Key")
        if key is None or not call.repeatable:
            return None
        caller = repeats.caller_name(self._backend, token)
        route = f"{request.method} {request.path}"
        begun = self._backend.idempotency.begin(
            caller, repeats.checked(key), route=route, body=current().body()
        )
        if isinstance(begun, Outcome):
            return begun
        g.repeat = Repeat(caller, key, begun)
        return None

    def _once(self, call: Call) -> Once | None:
        """What commits along with the command: how a repeat is answered if this answer is lost."""
        repeat: Repeat | None = g.get("repeat")
        if repeat is None:
            return None
        idempotency, request_id = self._backend.idempotency, g.request_id

        def mark(refusal: Refusal | None) -> Write:
            outcome = Outcome(status=min(call.answers), position=None, body=None)
            if refusal is not None:
                said = document(refusal, public_url=self._backend.public_url, request_id=request_id)
                outcome = Outcome(status=said["status"], position=None, body=said)
            return idempotency.mark(repeat.caller, repeat.key, repeat.attempt, outcome)

        return mark

    def _is_command(self) -> bool:
        return request.method in CHANGES and request.endpoint in self.calls

    def _position(self, response: Response) -> None:
        """Where nothing was appended, the store's head."""
        if "Twinlock-Position" not in response.headers:
            try:
                response.headers["Twinlock-Position"] = str(self._backend.desk.store.head())
            except Unavailable:
                return

    def _note(self, response: Response) -> None:
        seconds = time.perf_counter() - g.get("started", time.perf_counter())
        here, status = current(), response.status_code
        method, rule = (here.method, here.url_rule.rule) if here.url_rule else ("other", "none")
        self.metrics.count(method, rule, status, seconds)
        self._log.info(
            "answered", method=method, route=rule, status=status, ms=round(seconds * 1000, 2)
        )


def _elsewhere(redirected: RequestRedirect) -> Response:
    """The router's redirect, as a path: the host that a request names is not believed."""
    parts = urlsplit(redirected.new_url)
    path = f"/{parts.path.lstrip('/')}"
    return Response(
        status=redirected.code, headers={"Location": urlunsplit(("", "", path, parts.query, ""))}
    )


def _request_id(given: str | None) -> str:
    return given if given and ID.fullmatch(given) else secrets.token_hex(16)
