"""The steps of a form that stands in more than one place."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from flask import url_for

from api.guards import Guard
from api.pages.browsers import LOGIN


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps where they stand: from which address on, under which name, and in which place."""

    prefix: str
    name: str
    place: str

    def url(self, step: str) -> str:
        """The address of a step."""
        return url_for(f"{self.name}.{step}")

    @property
    def in_login(self) -> bool:
        """Whether they stand inside a login, whose first factor is proven."""
        return self.place == LOGIN

    def put(
        self, guard: Guard, method: Callable[..., None], rule: str, step: str, view: Any
    ) -> None:
        """Put up a step, by a method of the site; its view is told where it stands."""
        method(
            f"{self.prefix}{rule}",
            f"{self.name}.{step}",
            guard,
            partial(view, self),
            place=self.place,
        )
