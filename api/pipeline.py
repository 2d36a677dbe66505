"""What every request passes through: id, credential, guard, position, log line."""

import secrets
import time
from collections.abc import Mapping
from contextlib import nullcontext
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
from api.callers import ANYBODY, NOBODY, bearer_of, caller_of, genuine
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
from commands.ports import Context, Once, Write
from domain.refusals import Malformed, NotFound, Refusal, Unavailable


class PipedRequest(StrictRequest):
    """A request, and what the pipeline knows of it: when it came, its visit, how it is repeated."""

    started_at: float | None = None
    visit: Visit | None = None
    repeat: Repeat | None = None


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
        here = _here()
        here.started_at = time.perf_counter()
        g.request_id = request_id = _request_id(here.headers.get("X-Request-Id"))
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        call = self.calls.get(here.endpoint or "")
        if call is None:
            return None
        if call.method in CHANGES:
            here.receive()
        return self._let_in(call, here, request_id)

    def answer(self, call: Call) -> Response:
        """Read what the handler is given, wait where the query says so, then ask the handler."""
        here = _here()
        visit, arguments = here.visit, arguments_of(call, here)
        assert visit is not None
        if "query" in arguments and call.reads:
            wait(visit, call.reads, arguments["query"].at_least)
        said = self._said(call, here, visit, arguments)
        body = said.body.model_dump_json(by_alias=True) if said.body is not None else ""
        response = Response(said.stream or body, status=said.status, mimetype=said.media_type)
        if said.body is None and said.stream is None:
            del response.headers["Content-Type"]
        if said.closed is not None:
            response.call_on_close(said.closed)
        if said.headers:
            response.headers.update(said.headers)
        if said.position is not None:
            response.headers["Twinlock-Position"] = str(said.position)
        return response

    def _said(
        self, call: Call, here: PipedRequest, visit: Visit, arguments: Mapping[str, Any]
    ) -> Answer:
        """What the handler says; without a login it takes an address, and tells nothing by time."""
        anonymous = call.optional and visit.caller.login is None
        if anonymous:
            if arguments["body"].email is None:
                raise Malformed("email: is missing.")
            admit_anonymous(visit)
        if here.repeat is not None:  # strangers have no more kept than they may ask
            here.repeat.evaluated = True
        with alike() if anonymous else nullcontext():
            return call.handler(visit, **arguments)

    def refuse(self, refusal: Refusal) -> Response:
        """Say no, as problem+json."""
        return problem(
            refusal, public_url=self._backend.public_url, request_id=g.get("request_id", "")
        )

    def refuse_http(self, error: HTTPException) -> Response:
        """The framework's own refusals, in our words; `Allow` stays on a 405."""
        if (error.code or 500) >= 500:
            return self.fail(getattr(error, "original_exception", None) or error)
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
        here = _here()
        if isinstance(here.routing_exception, RequestRedirect):
            response = _elsewhere(here.routing_exception)
        if here.method in CHANGES and here.endpoint in self.calls:
            self._position(response)
        if here.repeat is not None:
            repeats.settle(self._backend, here.repeat, response)
        response.headers["X-Request-Id"] = g.get("request_id", "")
        self._note(here, response)
        return response

    def _let_in(self, call: Call, here: PipedRequest, request_id: str) -> Response | None:
        backend = self._backend
        desk, at = backend.sit(backend.desk), backend.clock()
        token = bearer_of(here.headers.get("Authorization")) if call.expects else None
        found = genuine(desk, token, at, call.expects or "") if token else None
        try:
            outcome = self._begin(call, here, token)
            refusal = None
        except Refusal as refused:
            outcome, refusal = None, refused
        if outcome is not None:
            return repeats.replayed(outcome)
        context = Context(at=at, actor=ANYBODY, request_id=request_id)
        caller = caller_of(desk, context, token, found) if token else NOBODY
        if isinstance(refusal, InProgress):
            raise refusal  # the guard would meet what the first request has done
        visit = Visit(
            backend=backend,
            desk=desk,
            at=at,
            request_id=request_id,
            caller=caller,
            once=self._once(call, here.repeat, request_id),
        )
        here.visit = call.guard(visit, here.view_args or {})
        if refusal is not None:
            raise refusal
        return None

    def _begin(self, call: Call, here: PipedRequest, token: str | None) -> Outcome | None:
        """Claim the Idempotency-Key; the outcome where the request was carried out before."""
        key = here.headers.get("Idempotency-Key") if call.repeatable else None
        if key is None:
            return None
        caller = repeats.caller_name(self._backend, token)
        asked = here.query_string + here.body()
        begun = self._backend.idempotency.begin(
            caller, repeats.checked(key), route=f"{here.method} {here.path}", body=asked
        )
        if isinstance(begun, Outcome):
            return begun
        here.repeat = Repeat(caller, key, begun)
        return None

    def _once(self, call: Call, repeat: Repeat | None, request_id: str) -> Once | None:
        """What commits along with the command: how a repeat is answered if this answer is lost."""
        if repeat is None:
            return None

        def mark(refusal: Refusal | None) -> Write:
            outcome = Outcome(status=min(call.answers), position=None, body=None)
            if refusal is not None:
                public_url = self._backend.public_url
                said = document(refusal, public_url=public_url, request_id=request_id)
                outcome = Outcome(status=said["status"], position=None, body=said)
            return self._backend.idempotency.mark(
                repeat.caller, repeat.key, repeat.attempt, outcome
            )

        return mark

    def _position(self, response: Response) -> None:
        """Where nothing was appended, the store's head."""
        if "Twinlock-Position" not in response.headers:
            try:
                response.headers["Twinlock-Position"] = str(self._backend.desk.store.head())
            except Unavailable:
                return

    def _note(self, here: PipedRequest, response: Response) -> None:
        now, status = time.perf_counter(), response.status_code
        seconds = now - (here.started_at or now)
        method, rule = (here.method, here.url_rule.rule) if here.url_rule else ("other", "none")
        try:
            self.metrics.count(method, rule, status, seconds)
        except Exception as error:  # what was done stays done, and is answered
            self._log.warning("uncounted", reason=type(error).__name__)
        self._log.info(
            "answered", method=method, route=rule, status=status, ms=round(seconds * 1000, 2)
        )


def _here() -> PipedRequest:
    found = current()
    assert isinstance(found, PipedRequest)
    return found


def _elsewhere(redirected: RequestRedirect) -> Response:
    """The router's redirect, as a path: the host that a request names is not believed."""
    parts = urlsplit(redirected.new_url)
    path = f"/{parts.path.lstrip('/')}"
    return Response(
        status=redirected.code, headers={"Location": urlunsplit(("", "", path, parts.query, ""))}
    )


def _request_id(given: str | None) -> str:
    return given if given and ID.fullmatch(given) else secrets.token_hex(16)
