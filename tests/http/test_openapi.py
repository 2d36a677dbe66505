"""The OpenAPI document: valid 3.1, complete, and true; and the traps of the library under it."""

import re
from typing import Any

import jsonschema
import pytest
from flask import Flask
from pydantic import TypeAdapter

from api import answers
from api.app import AREAS
from api.refusals import TITLES, status_of_slug
from tests.http.installation import Installation
from tests.http.routes import ANYONE, ROUTES

API_ROLES = {"host", "owner", "support", "auditor", "analyst"}


@pytest.fixture(scope="module")
def document(here: Installation) -> dict[str, Any]:
    """What /openapi.json says."""
    return dict(here.get("/openapi.json").body)


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Operations by method and path."""
    return {
        f"{method.upper()} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


def test_it_is_openapi_3_1_and_not_3_2(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.1"


def test_every_call_is_in_it_under_its_own_name(document: dict[str, Any]) -> None:
    listed = operations(document)
    assert set(listed) == {f"{r.method} {r.rule.partition('?')[0]}" for r in (*ROUTES, *ANYONE)}
    names = [operation["operationId"] for operation in listed.values()]
    assert len(set(names)) == len(names)
    assert sorted(names) == sorted(call.name for area in AREAS for call in area)
    assert all(re.fullmatch(r"[a-z_]+", name) for name in names)


def test_every_refusal_is_a_problem_and_every_reference_leads_somewhere(
    document: dict[str, Any],
) -> None:
    for name, operation in operations(document).items():
        assert "422" in operation["responses"], name
        for status, response in operation["responses"].items():
            if int(status) >= 400 and name != "GET /readyz":
                assert list(response["content"]) == ["application/problem+json"], name
    schemas = document["components"]["schemas"]
    references = re.findall(r'"#/components/schemas/([^"]+)"', str(document).replace("'", '"'))
    assert references
    assert set(references) <= set(schemas)
    assert "ValidationErrorModel" not in schemas


def test_a_command_tells_its_headers_and_what_any_body_may_meet(document: dict[str, Any]) -> None:
    for name, operation in operations(document).items():
        given = [(each["name"], each["in"]) for each in operation.get("parameters", ())]
        assert len(set(given)) == len(given), name
        assert {path for path, where in given if where == "path"} == set(
            re.findall(r"{(\w+)}", name)
        )
        if name.startswith("GET"):
            continue
        repeated = name.startswith("POST") or name.endswith("/mfa-policy")
        assert (("Idempotency-Key", "header") in given) is repeated, name
        assert {"413", "415"} <= set(operation["responses"]), name
        for status, response in operation["responses"].items():
            waits = {"Retry-After"} if status in ("429", "503") else set()
            again = {"Idempotency-Replayed"} if repeated and status not in ("429", "503") else set()
            always = {"X-Request-Id", "Twinlock-Position"}
            assert set(response["headers"]) == always | waits | again, name


def test_every_call_says_who_may_call_it(document: dict[str, Any]) -> None:
    said = {
        name: operation["description"].rpartition("\n\nWho: ")[2]
        for name, operation in operations(document).items()
    }
    in_person = {"member": "pass", "login": "login", "ticket": "ticket's own token"}
    for route in ROUTES:
        who = said[f"{route.method} {route.rule.partition('?')[0]}"]
        named = {role for role in API_ROLES if role in who} - (
            {"auditor"} if "as_of" in who else set()
        )
        assert named == route.allowed & API_ROLES, route.name
        assert all(word in who for p, word in in_person.items() if p in route.allowed), route.name
    for route in ANYONE:
        who = said[f"{route.method} {route.rule.partition('?')[0]}"]
        assert who.startswith(("Anyone", "Whoever has a pass")), route.name


def test_access_takes_a_pass_and_tells_whose_it_is(
    here: Installation, document: dict[str, Any]
) -> None:
    operation = operations(document)["GET /v1/access"]
    assert operation["security"] == [{"bearer": []}, {"twinlock_pass": []}]
    scheme = document["components"]["securitySchemes"]["twinlock_pass"]
    assert scheme == {"type": "apiKey", "in": "cookie", "name": "twinlock_pass"}
    member = here.bound(here.workspace())
    path = f"/v1/access?workspace_id={member.workspace_id}"
    cookie = {"Cookie": f"{scheme['name']}={member.granted}"}
    for answer in (here.get(path, member.granted), here.get(path, headers=cookie)):
        assert answer.status == 200
        told = set(operation["responses"]["200"]["headers"])
        assert told == {n for n, _ in answer.headers if n.startswith(("Remote-", "X-R"))}


def test_a_streamed_trail_tells_its_manifest_and_its_position(
    here: Installation, document: dict[str, Any]
) -> None:
    told = operations(document)["GET /v1/audit"]["responses"]["200"]["headers"]
    for kind in ("text/csv", "application/x-ndjson"):
        answer = here.get("/v1/audit", "auditor", headers={"Accept": kind})
        named = {n for n, _ in answer.headers if n.startswith(("Twinlock-", "X-R"))}
        assert set(told) == named == {"X-Request-Id", "Twinlock-Manifest", "Twinlock-Position"}


def test_a_stream_takes_the_header_by_which_it_goes_on(document: dict[str, Any]) -> None:
    told = {
        name
        for name, operation in operations(document).items()
        if any(each["name"] == "Last-Event-ID" for each in operation.get("parameters", ()))
    }
    assert told == {"GET /v1/events"}


def test_no_body_is_needed_where_a_login_says_it_all(document: dict[str, Any]) -> None:
    optional = [
        name
        for name, operation in operations(document).items()
        if operation.get("requestBody", {}).get("required") is False
    ]
    assert optional == ["POST /v1/tickets/email-codes"]


def test_bodies_are_strict_in_the_document_too(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for operation in operations(document).values():
        if body := operation.get("requestBody"):
            name = body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
            assert schemas[name]["additionalProperties"] is False


def test_every_schema_is_a_json_schema(document: dict[str, Any]) -> None:
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_answers_fit_the_document(here: Installation, document: dict[str, Any]) -> None:
    workspace = here.workspace()
    member = here.bound(workspace)
    schemas = document["components"]["schemas"]
    seen = {
        "Mfa": here.get(f"/v1/members/{member.id}/mfa", "host"),
        "Policy": here.get(f"/v1/workspaces/{workspace}/mfa-policy", "host"),
        "Coverage": here.get(f"/v1/workspaces/{workspace}/coverage", "host"),
        "Preview": here.get(f"/v1/workspaces/{workspace}/mfa-policy/preview", "host"),
        "Audit": here.get("/v1/audit?limit=5", "auditor"),
        "Events": here.get("/v1/events?limit=5", "analyst"),
        "Tickets": here.get("/v1/tickets", "support"),
        "Problem": here.get("/v1/tickets"),
        "Keys": here.get("/.well-known/jwks.json"),
    }
    for name, answer in seen.items():
        whole = {**schemas[name], "components": {"schemas": schemas}}
        jsonschema.validate(answer.body, whole, cls=jsonschema.Draft202012Validator)
        assert set(answer.body) == set(schemas[name]["properties"]), name


def test_every_slug_has_a_status_a_title_and_a_page(here: Installation) -> None:
    for slug, title in TITLES.items():
        page = here.get(f"/problems/{slug}")
        assert page.status == 200
        assert title in page.text
        assert str(status_of_slug(slug)) in page.text
    assert here.get("/problems/nothing").told == (404, "not-found")


def test_two_applications_live_in_one_process(here: Installation) -> None:
    other = here.with_backend(metrics=True)
    assert isinstance(other.app, Flask)
    assert other.get("/openapi.json").body == here.get("/openapi.json").body
    assert other.get("/metrics").status == 200
    assert here.get("/metrics").told == (404, "not-found")


def test_the_reference_is_readable_without_the_network(here: Installation) -> None:
    page = here.get("/docs")
    assert '<script type="module" src="docs/start.js">' in page.text
    assert "http" not in page.text.replace("https", "")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    start = here.get("/docs/start.js").text
    assert "import {init}" in start
    assert "disableTelemetry: true" in start
    bundle = here.get("/docs/redoc.standalone.js")
    assert bundle.text.rstrip().endswith("export{RedocStandalone,hydrate,init};")


def test_times_are_utc_with_z() -> None:
    shown = TypeAdapter(answers.Login).validate_python(
        {
            "login_id": "l",
            "state": "granted",
            "expires_at": "2026-01-01T02:00:00+02:00",
            "enrolment_due_at": None,
            "locked_until": None,
        }
    )
    assert '"expires_at":"2026-01-01T00:00:00Z"' in shown.model_dump_json()
