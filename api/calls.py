"""How calls are declared: method, path, who may, what it answers and how it refuses."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_type_hints

from pydantic import BaseModel

from api.guards import Guard

Handler = Callable[..., "Answer"]
Answers = Mapping[int, type[BaseModel] | None]
ALWAYS = ("malformed", "unavailable")
JSON = "application/json"
CHANGES = ("POST", "PUT", "DELETE")
"""Methods of commands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A status, a body where there is one, and the position of a command.

    A `stream` is sent as it comes, as `media_type`; `closed` is called when it ends.
    """

    status: int = 200
    body: BaseModel | None = None
    stream: Iterable[bytes] | None = None
    media_type: str = JSON
    closed: Callable[[], None] | None = None
    position: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One operation of the API.

    `path`, `query` and `body` are what the handler is given of the request. `expects` is the kind
    of token that it is mostly called with, None where no Authorization header is read; `optional`
    says that it also goes without. `reads` is the read model that it waits for. `judged` describes
    a query that the handler itself judges; `cookie` is where it looks for a pass if no bearer
    comes. `media_types` and `headers` are those of its 200.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    rule: str
    handler: Handler
    path: type[BaseModel] | None
    query: type[BaseModel] | None
    body: type[BaseModel] | None
    guard: Guard
    answers: Answers
    refuses: tuple[str, ...] = ()
    expects: str | None = "api"
    reads: str | None = None
    optional: bool = False
    repeatable: bool = False
    judged: type[BaseModel] | None = None
    cookie: str | None = None
    media_types: tuple[str, ...] = (JSON,)
    headers: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The operation's id."""
        return self.handler.__name__


class Calls:
    """The calls of one area, in the order in which they are told; each is `said` as Call has it."""

    def __init__(self, area: str) -> None:
        """Name the area, as the documentation shows it."""
        self.area = area
        self._calls: list[Call] = []

    def __iter__(self) -> Iterator[Call]:
        return iter(self._calls)

    def get(self, rule: str, **said: Any) -> Callable[[Handler], Handler]:
        """Declare a question."""
        return self._declare(method="GET", rule=rule, **said)

    def post(self, rule: str, **said: Any) -> Callable[[Handler], Handler]:
        """Declare a command, which is repeated safely under an Idempotency-Key."""
        return self._declare(method="POST", rule=rule, repeatable=True, **said)

    def put(self, rule: str, **said: Any) -> Callable[[Handler], Handler]:
        """Declare a command that is idempotent by itself, mostly."""
        return self._declare(method="PUT", rule=rule, **said)

    def delete(self, rule: str, **said: Any) -> Callable[[Handler], Handler]:
        """Declare a command that takes something away."""
        return self._declare(method="DELETE", rule=rule, **said)

    def _declare(self, **said: Any) -> Callable[[Handler], Handler]:
        def declare(handler: Handler) -> Handler:
            hints = get_type_hints(handler)
            given: Any = {name: hints.get(name) for name in ("path", "query", "body")}
            self._calls.append(Call(handler=handler, **given, **said))
            return handler

        return declare
