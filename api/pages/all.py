"""Every page there is, and the static files that they load."""

from collections.abc import Callable

from flask import Blueprint, Flask, Response, current_app, redirect, request
from werkzeug.exceptions import HTTPException

from api.backend import Backend
from api.pages import (
    agents,
    audit_explorer,
    binding,
    coverage,
    front,
    login,
    policy,
    request_status,
    requests,
    settings,
    sign_in,
    unbinding,
)
from api.pages.browsers import LOGIN, MEMBER
from api.pages.local import local_path
from api.pages.problems import page
from api.pages.site import Site
from api.problems import no_such_thing
from api.refusals import MethodNotAllowed

JSON_AREAS = ("/v1/", "/.well-known/", "/openapi.json", "/healthz", "/readyz", "/metrics")


def put_up(app: Flask, backend: Backend, otherwise: Callable[[HTTPException], Response]) -> None:
    """Add the pages; `otherwise` answers errors to callers that are no browsers."""
    app.register_blueprint(
        Blueprint("pages", "api", static_folder="static", static_url_path="/static")
    )
    site = Site(app, backend)
    front.add_to(site)
    sign_in.add_to(site)
    login.add_to(site)
    settings.add_to(site)
    binding.add_to(site, "/settings/mfa/bind", "settings_bind", MEMBER)
    binding.add_to(site, "/login/bind", "login_bind", LOGIN)
    unbinding.add_to(site)
    requests.add_to(site)
    request_status.add_to(site)
    agents.add_to(site)
    policy.add_to(site)
    coverage.add_to(site)
    audit_explorer.add_to(site)
    _instead_of_errors(app, otherwise)


def _form_of(path: str) -> str:
    """The page nearest above the address that a form was sent to."""
    pages = current_app.url_map.bind("")
    while path and not pages.test(path, "GET"):
        path = path.rpartition("/")[0]
    return path or "/"


def _instead_of_errors(app: Flask, otherwise: Callable[[HTTPException], Response]) -> None:
    """Browsers that end up nowhere see a page."""

    def lost(error: HTTPException) -> Response:
        reads_pages = "text/html" in request.headers.get("Accept", "")
        if request.path.startswith(JSON_AREAS) or not reads_pages:
            return otherwise(error)
        if error.code == 405 and request.method == "GET":  # of a form that was sent from there
            return redirect(local_path(_form_of(request.path)), 303)  # type: ignore[return-value]
        shown = page(no_such_thing() if error.code == 404 else MethodNotAllowed()).response()
        for name, value in error.get_headers(request.environ):
            if name == "Allow":
                shown.headers[name] = value
        return shown

    app.register_error_handler(404, lost)
    app.register_error_handler(405, lost)
