"""The API's reference: the OpenAPI document, and Redoc out of a package, without the network."""

from pathlib import Path

import flask_openapi_redoc
from flask import Blueprint, Response, current_app, jsonify, send_from_directory

from api import openapi
from api.metrics import Metrics

BUNDLE = Path(flask_openapi_redoc.__file__).parent / "templates" / "redoc" / "js"
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Twinlock API</title>
<link rel="icon" href="data:,">
</head>
<body>
<main id="redoc"></main>
<script type="module" src="docs/start.js"></script>
</body>
</html>
"""
START = """import {init} from "./redoc.standalone.js";
init("openapi.json", {disableSearch: true, disableTelemetry: true, hideDownloadButtons: false,
  theme: {typography: {fontFamily: "system-ui, sans-serif",
  headings: {fontFamily: "system-ui, sans-serif"}}}}, document.getElementById("redoc"));
"""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src 'self' data:; "
    "font-src data:; connect-src 'self'; worker-src blob:; base-uri 'none'; frame-ancestors 'none'"
)
CACHED = "public, max-age=3600"


def pages() -> Blueprint:
    """The document and the pages that show it."""
    pages = Blueprint("docs", __name__)

    @pages.get("/openapi.json")
    def openapi_json() -> Response:
        return jsonify(openapi.document(current_app))

    @pages.get("/docs")
    def reference() -> Response:
        return Response(PAGE, headers={"Content-Security-Policy": POLICY})

    @pages.get("/docs/redoc.standalone.js")
    def redoc() -> Response:
        response = send_from_directory(BUNDLE, "redoc.standalone.js")
        response.headers["Cache-Control"] = CACHED
        return response

    @pages.get("/docs/start.js")
    def start() -> Response:
        return Response(START, mimetype="text/javascript", headers={"Cache-Control": CACHED})

    return pages


def metrics(counters: Metrics) -> Blueprint:
    """What Prometheus scrapes."""
    pages = Blueprint("metrics", __name__)

    @pages.get("/metrics")
    def scrape() -> Response:
        return Response(counters.text(), content_type=counters.content_type)

    return pages
