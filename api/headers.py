"""Headers that every answer carries unless it says otherwise, whatever made it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ALWAYS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


def with_headers(application: "WSGIApplication") -> "WSGIApplication":
    """The application, whose answers carry ALWAYS; a header that is there is left."""

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            there = {name.title() for name, _ in headers}
            missing = (pair for pair in ALWAYS.items() if pair[0] not in there)
            return start_response(status, [*headers, *missing], *error)

        return application(environ, start)

    return answer
