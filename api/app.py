"""Builds the Flask application: JSON calls, their documentation, and the pages by the side."""

from flask import Flask

from api import (
    access,
    cancel_page,
    docs,
    event_docs,
    logins,
    mfa,
    openapi,
    problem_pages,
    proofs,
    records,
    ticket_work,
    tickets,
    wellknown,
    workspaces,
)
from api.backend import Backend
from api.headers import with_headers
from api.metrics import Metrics
from api.pages.all import put_up
from api.pipeline import Pipeline

AREAS = (
    workspaces.calls,
    logins.calls,
    mfa.calls,
    tickets.calls,
    ticket_work.calls,
    records.calls,
    proofs.calls,
    access.calls,
    wellknown.calls,
)


def create_app(backend: Backend) -> Flask:
    """An application of its own; several may live in one process."""
    app = openapi.application("api")
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.url_map.merge_slashes = False
    pipeline = Pipeline(backend, Metrics(backend.backlog))
    pipeline.attach(app)
    openapi.mount(app, pipeline, AREAS)
    app.register_blueprint(docs.pages())
    app.register_blueprint(event_docs.pages(backend))
    app.register_blueprint(problem_pages.pages())
    app.register_blueprint(cancel_page.pages(backend))
    put_up(app, backend, pipeline.refuse_http)
    if backend.metrics:
        app.register_blueprint(docs.metrics(pipeline.metrics))
    app.wsgi_app = with_headers(app.wsgi_app)  # type: ignore[method-assign, assignment]
    return app
