"""The one home of flask-openapi: calls become Flask views, and an OpenAPI 3.1 document."""

import re
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from flask import Flask, Response
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.info import Info
from flask_openapi.openapi import OpenAPI

from api import access, answers, following, repeats
from api.calls import ALWAYS, CHANGES, JSON, Call, Calls
from api.fields import DIGITS
from api.pipeline import PipedRequest, Pipeline
from api.problems import MEDIA_TYPE
from api.refusals import status_of_slug
from api.strict_json import MOST_BYTES

VERSION = "3.1.1"
"""Said explicitly: the library would write 3.2."""
DESCRIPTION = (
    "MFA management: binding, logins, policies, unbinding and the audit trail. "
    "Every refusal is application/problem+json (RFC 9457) with a `type` that ends in its slug. "
    "Each operation says who may call it. host, owner, support, auditor and analyst are roles of "
    "API tokens; owner is also a pass of an owner of the workspace, and the last three also a pass "
    "of a member who has the role in the staff workspace."
)
VARIABLE = re.compile(r"<(?:\w+:)?(\w+)>")
TEXT = {"schema": {"type": "string"}}
IDEMPOTENCY_KEY = {
    "description": (
        "Under one key a command is carried out once, and answered again for a day, less secrets. "
        "What was refused before it was evaluated, 429 and 5xx leave the key free."
    ),
    "schema": {"type": "string", "pattern": f"^{repeats.KEY.pattern}$"},
}
POSITION = "Where a command's event stands; where there is none, the head of the history."
MANIFEST = "Of a stream: its filter, count, first and last position, and the checkpoint, in JSON."
REPLAYED = (
    "The first answer to this Idempotency-Key once more, less its secrets; where the server ended "
    "before it had answered, a success without a body."
)
HEADERS = {
    "X-Request-Id": {"description": "The request's own, or a new one.", **TEXT},
    "Twinlock-Position": {"description": POSITION, "schema": {"type": "integer"}},
    "Twinlock-Manifest": {"description": MANIFEST, **TEXT},
    "Idempotency-Replayed": {"description": REPLAYED, "schema": {"const": "true"}},
    "Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}},
    "Remote-User": {"description": "The member's id.", **TEXT},
    "Remote-Groups": {"description": "The member's role in the workspace.", **TEXT},
    "Remote-Workspace": {"description": "The workspace's id.", **TEXT},
    "Remote-Amr": {"description": "How the member logged in, apart by commas.", **TEXT},
}
LAST_EVENT_ID = {
    "description": "Where a stream goes on: it wins over `after`.",
    "schema": {"type": "string", "pattern": f"^{DIGITS.pattern}$"},
}
BEARER: list[dict[str, list[Any]]] = [{"bearer": []}]


class _Application(OpenAPI):
    """Knows its calls, and that none of its views is asynchronous."""

    def __init__(self, name: str, **said: Any) -> None:
        super().__init__(name, **said)
        self.calls: list[Call] = []

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return func

    def generate_spec_json(self) -> None:
        """The library documents JSON alone, no header of an answer, and every body as needed.

        Nor does it know that answers lack their secrets when they are repeated.
        """
        super().generate_spec_json()  # type: ignore[no-untyped-call]
        self.spec_json["components"]["headers"] = HEADERS
        for schema in self.spec_json["components"]["schemas"].values():
            if needed := schema.get("required"):
                schema["required"] = [name for name in needed if name not in repeats.SECRETS]
        for call in self.calls:
            path = VARIABLE.sub(r"{\1}", call.rule)
            operation = self.spec_json["paths"][path][call.method.lower()]
            if more := _parameters(call):
                operation["parameters"] = [*operation.get("parameters", ()), *more]
            _tell_media_types(operation, call)
            _tell_headers(operation, call)
            if call.optional and call.body and not call.body.model_json_schema().get("required"):
                operation["requestBody"]["required"] = False


def application(name: str) -> _Application:
    """A Flask application that documents itself; the pages of the library stay off."""
    app = _Application(
        name,
        info=Info(title="Twinlock", version="1", description=DESCRIPTION),
        security_schemes={
            "bearer": {"type": "http", "scheme": "bearer"},
            access.COOKIE: {"type": "apiKey", "in": "cookie", "name": access.COOKIE},
        },
        validation_error_status=422,
        validation_error_model=answers.Problem,
        doc_ui=False,
        static_folder=None,
    )
    app.openapi_version = VERSION
    app.request_class = PipedRequest
    app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES + 1  # forms too, also where no length is said
    app.json.sort_keys = False  # type: ignore[attr-defined]
    return app


def mount(app: _Application, pipeline: Pipeline, areas: Iterable[Calls]) -> None:
    """Make views of the calls and document them.

    One blueprint holds all: of a path that two of them share, the library keeps one's methods.
    """
    blueprint = APIBlueprint("calls", __name__)
    for area in areas:
        for call in area:
            register = getattr(blueprint, call.method.lower())
            said = _said(call) | {"tags": [{"name": area.area}]}
            register(call.rule, **said)(_view(pipeline, call))
            pipeline.calls[f"{blueprint.name}.{call.name}"] = call
            app.calls.append(call)
    app.register_api(blueprint)


def document(app: Flask) -> dict[str, Any]:
    """The OpenAPI document."""
    assert isinstance(app, OpenAPI)
    spec: dict[str, Any] = app.api_doc
    return spec


def _view(pipeline: Pipeline, call: Call) -> Callable[..., Response]:
    """A fresh function per application: the library writes on it, and leaves validation to it."""

    @wraps(call.handler)
    def view(**_: Any) -> Response:
        return pipeline.answer(call)

    view.__delay_validate_request__ = True  # type: ignore[attr-defined]
    return view


def _said(call: Call) -> dict[str, Any]:
    summary, _, description = (call.handler.__doc__ or "").strip().partition("\n")
    said: dict[str, Any] = {
        "operation_id": call.name,
        "summary": summary,
        "description": f"{description.strip() or summary}\n\nWho: {call.guard.__doc__}",
        "responses": _responses(call),
    }
    if call.expects:
        said["security"] = [*BEARER, {}] if call.optional else BEARER
    if call.cookie:
        said["security"] = [*BEARER, {call.cookie: []}]
    return said


def _responses(call: Call) -> dict[str, Any]:
    """Answers, and problems by status; both for every operation, which inherits none."""
    said: dict[str, Any] = {str(status): model for status, model in call.answers.items()}
    slugs: dict[int, list[str]] = {}
    for slug in _slugs(call):
        slugs.setdefault(status_of_slug(slug), []).append(slug)
    for status, names in sorted(slugs.items()):
        if status not in call.answers:
            said[str(status)] = {
                "description": ", ".join(names),
                "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }
    return said


def _tell_headers(operation: dict[str, Any], call: Call) -> None:
    """The request's id, the position of a command, when to ask again, and the call's own."""
    for status, response in operation["responses"].items():
        names = ["X-Request-Id"]
        if call.method in CHANGES:
            names.append("Twinlock-Position")
        if call.repeatable and status < "429":
            names.append("Idempotency-Replayed")
        if status in ("429", "503"):
            names.append("Retry-After")
        if status == "200":
            names += call.headers
        response["headers"] = {n: {"$ref": f"#/components/headers/{n}"} for n in names}


def _tell_media_types(operation: dict[str, Any], call: Call) -> None:
    """What else a call answers than JSON: another kind of it, or text."""
    if call.media_types == (JSON,):
        return
    answer = operation["responses"]["200"]
    json = answer.get("content", {}).get(JSON, TEXT)
    answer["content"] = {
        name: json if name == JSON or name.endswith("+json") else TEXT for name in call.media_types
    }


def _slugs(call: Call) -> list[str]:
    slugs = [*call.refuses, *ALWAYS]
    if call.expects:
        slugs += ["unauthenticated", "forbidden"]
    if "<" in call.rule:
        slugs.append("not-found")
    if call.method in CHANGES:
        slugs += ["too-large", "unsupported-media-type"]
    if call.repeatable:
        slugs += ["idempotency-mismatch", "in-progress"]
    if call.reads:
        slugs.append("not-yet-visible")
    return list(dict.fromkeys(slugs))


def _parameters(call: Call) -> list[dict[str, Any]]:
    """Parameters that no model describes."""
    found = list[dict[str, Any]]()
    if call.repeatable:
        found.append({"name": "Idempotency-Key", "in": "header", **IDEMPOTENCY_KEY})
    if following.MEDIA_TYPE in call.media_types:
        found.append({"name": "Last-Event-ID", "in": "header", **LAST_EVENT_ID})
    if call.judged is not None:
        shape = call.judged.model_json_schema()
        for name, schema in shape["properties"].items():
            found.append({"name": name, "in": "query", "required": True, "schema": schema})
    return found
