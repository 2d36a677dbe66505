"""The events' reference: the AsyncAPI document, and a page that shows it without scripts."""

from typing import Any

from flask import Blueprint, Response, jsonify, render_template

from api.backend import Backend

POLICY = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
STYLE = """body{font:1rem/1.6 system-ui,sans-serif;margin:2rem auto;max-width:56rem;padding:0 1rem;
color:#1c2430;background:#fff}table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}
th,td{text-align:left;vertical-align:top;padding:.35rem .75rem .35rem 0;
border-bottom:1px solid #cfd6df;overflow-wrap:anywhere}h1,h2,h3{overflow-wrap:anywhere}
h3{margin:2rem 0 .25rem}a{color:#0b57a4}
@media (prefers-color-scheme:dark){body{color:#e8ecf2;background:#151a21}
th,td{border-color:#3a4452}a{color:#8ab8f0}}
"""


def pages(backend: Backend) -> Blueprint:
    """The document and the page."""
    pages = Blueprint("event_docs", __name__)

    @pages.get("/asyncapi.json")
    def asyncapi_json() -> Response:
        return jsonify(backend.published.asyncapi)

    @pages.get("/docs/events.css")
    def style() -> Response:
        return Response(STYLE, mimetype="text/css")

    @pages.get("/docs/events")
    def reference() -> Response:
        document = backend.published.asyncapi
        text = render_template("events.html", document=document, messages=_messages(document))
        return Response(text, headers={"Content-Security-Policy": POLICY})

    return pages


def _messages(document: Any) -> list[dict[str, Any]]:
    """What the page says of each message: name, sentence, and fields with their types."""
    found = document.get("components", {}).get("messages", {})
    return [
        {"id": name, **message, "fields": _fields(_data(message["payload"]))}
        for name, message in found.items()
        if "properties" in message["payload"]
    ]


def _data(payload: dict[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = payload["properties"].get("data", payload)
    return data


def _fields(schema: dict[str, Any]) -> list[tuple[str, str]]:
    return [(name, kind_of(each)) for name, each in schema["properties"].items()]


def kind_of(schema: dict[str, Any]) -> str:
    """A schema in a few words, such as `string (date-time) or null`."""
    if "anyOf" in schema:
        return " or ".join(kind_of(each) for each in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(str(each) for each in schema["enum"])
    kinds = schema.get("type", "any")
    words = kinds if isinstance(kinds, str) else " or ".join(kinds)
    if "items" in schema:
        return f"{words} of {kind_of(schema['items'])}"
    return f"{words} ({schema['format']})" if "format" in schema else str(words)
