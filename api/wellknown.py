"""What machines ask about the installation itself: keys, health and readiness."""

from collections.abc import Mapping
from typing import Any

from api import answers, guards
from api.calls import Answer, Calls
from api.problems import no_such_thing
from api.shapes import SchemaPath
from api.visits import Visit

calls = Calls("Installation")
Schema = Mapping[str, Any]
SCHEMA = "application/schema+json"


@calls.get(
    "/.well-known/jwks.json",
    guard=guards.anyone,
    answers={200: answers.Keys},
    expects=None,
)
def get_keys(visit: Visit) -> Answer:
    """The public keys that passes are verified with."""
    return Answer(
        body=answers.Keys(keys=list(visit.backend.jwks()["keys"])),
        headers={"Cache-Control": "public, max-age=60"},
    )


@calls.get(
    "/v1/schemas/<type>",
    guard=guards.anyone,
    answers={200: answers.Schema},
    media_types=(SCHEMA,),
    expects=None,
)
def get_schema(visit: Visit, path: SchemaPath) -> Answer:
    """The JSON Schema of a type's data: what `dataschema` of an event leads to."""
    schema = _schema(visit.backend.published.schemas, path.type.removeprefix("twinlock."))
    if schema is None:
        raise no_such_thing()
    return Answer(
        body=answers.Schema(dict(schema)),
        media_type=SCHEMA,
        headers={"Cache-Control": "public, max-age=3600"},
    )


@calls.get("/healthz", guard=guards.anyone, answers={200: answers.Health}, expects=None)
def get_health(visit: Visit) -> Answer:
    """The process answers."""
    return Answer(body=answers.Health(status="ok"))


@calls.get(
    "/readyz",
    guard=guards.anyone,
    answers={200: answers.Health, 503: answers.Health},
    expects=None,
)
def get_readiness(visit: Visit) -> Answer:
    """Every part that requests need can be used."""
    parts = {name: _works(visit, name) for name in visit.backend.checks}
    ready = all(part == "ok" for part in parts.values())
    shown = answers.Health.model_validate(
        {"status": "ok" if ready else "unavailable", "parts": parts}
    )
    return Answer(
        status=200 if ready else 503, body=shown, headers={} if ready else {"Retry-After": "1"}
    )


def _works(visit: Visit, name: str) -> str:
    try:
        visit.backend.checks[name]()
    except Exception:  # whatever a part fails with, it is not usable
        return "unavailable"
    return "ok"


def _schema(schemas: Mapping[str, Schema], name: str) -> Schema | None:
    """The schema of a versioned type, or, for a wire name alone, that of its newest version."""
    versions = [type_ for type_ in schemas if type_.rpartition(".v")[0] == name]
    return schemas.get(max(versions, key=lambda t: int(t.rpartition(".v")[2]), default=name))
