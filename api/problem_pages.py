"""One short page for each kind of problem, where its `type` leads to."""

from flask import Blueprint, Response

from api.page_parts import page
from api.problems import no_such_thing
from api.refusals import TITLES, status_of_slug


def pages() -> Blueprint:
    """The pages under /problems."""
    pages = Blueprint("problems", __name__)

    @pages.get("/problems/<slug>")
    def explain(slug: str) -> Response:
        if slug not in TITLES:
            raise no_such_thing()
        return page("problem.html", slug=slug, title=TITLES[slug], status_code=status_of_slug(slug))

    return pages
