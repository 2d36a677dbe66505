"""What a view answers: a template with its values, or an address to go to."""

from collections.abc import Mapping
from typing import Any, Final

from flask import Response, make_response, redirect, render_template, request

from api.pages import said
from api.pages.words import refused
from api.refusals import status_of
from domain.refusals import Refusal

POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "form-action 'self'{elsewhere}; base-uri 'none'; frame-ancestors 'none'"
)


class Page:
    """`wrong` maps a field's id to what is wrong with it; a bare text is about the code field.

    A `refusal` is said in words; of one that was `rejected`, the field or the template says it.
    `leads_to` is the origin that the page's forms may end at besides our own.
    """

    def __init__(
        self,
        template: str,
        *,
        status: int | None = None,
        refusal: Refusal | None = None,
        rejected: Refusal | None = None,
        wrong: Mapping[str, str] | str | None = None,
        leads_to: str | None = None,
        **values: Any,
    ) -> None:
        """Say what to show; the status follows from what is wrong, where none is given."""
        self.template = template
        self.refusal = refusal
        self.wrong = {"code": wrong} if isinstance(wrong, str) and wrong else dict(wrong or {})
        why = refusal or rejected
        self.status = status or (status_of(why) if why else 422 if self.wrong else 200)
        self.leads_to = leads_to
        self.retry_after = why.retry_after if why else None
        self.values = values

    @staticmethod
    def elsewhere(address: str, words: str | None = None) -> Response:
        """Go there with GET; the next page says the words."""
        response = make_response(redirect(address, 303))
        if words:
            said.carry(response, words)
        return response

    def response(self) -> Response:
        """Render it."""
        problems = list(self.wrong.items())
        if self.refusal is not None:
            problems.insert(0, ("", refused(self.refusal)))
        text = render_template(
            self.template,
            wrong=self.wrong,
            problems=problems,
            refusal=self.refusal,
            said=said.heard(),
            **self.values,
        )
        response = Response(text, status=self.status)
        leads_to = f" {self.leads_to}" if self.leads_to else ""
        response.headers["Content-Security-Policy"] = POLICY.format(elsewhere=leads_to)
        response.headers["Vary"] = "Accept-Language, Cookie"
        if self.status in (429, 503):
            response.headers["Retry-After"] = str(max(1, self.retry_after or 1))
        if said.NAME in request.cookies:
            said.forget(response)
        return response
