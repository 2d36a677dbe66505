"""What an event is: a past-tense fact under a permanent wire name, with who, when and why."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar, dataclass_transform


class Fact:
    """Base of every fact. Fields are primitives: what is stored is what is published."""

    __slots__ = ()
    wire_name: ClassVar[str]
    schema_version: ClassVar[int]

    @classmethod
    def topic(cls) -> str:
        """The permanent name under which the fact is stored, such as `mfa.bound.v1`."""
        return f"{cls.wire_name}.v{cls.schema_version}"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it: `kind` is host, member, support, auditor, system, operator or anonymous."""

    kind: str
    id: str | None = None


class Event(NamedTuple):
    """A fact in its place: the `version`-th of its stream, at an aware UTC time, by an actor.

    Made for each event that is read: a tuple costs a third of a frozen dataclass.
    """

    stream: str
    version: int
    fact: Fact
    at: datetime
    actor: Actor
    request_id: str
    workspace_id: str | None = None


class Aggregate(Protocol):
    """State folded from one stream; the stream's name is `kind/id`."""

    @property
    def id(self) -> str: ...
    @property
    def version(self) -> int: ...


F = TypeVar("F", bound=Fact)
FACTS: dict[str, type[Fact]] = {}
"""Every current fact by its topic."""


def wire_names() -> frozenset[str]:
    """The permanent names of all facts, without versions."""
    return frozenset(fact.wire_name for fact in FACTS.values())


Upcaster = Callable[[Mapping[str, Any]], Mapping[str, Any]]
UPCASTERS: dict[str, tuple[str, Upcaster]] = {}
"""Older topics: each with its successor's, and the function that makes the successor's data."""


@dataclass_transform(frozen_default=True, kw_only_default=True)
def fact(wire_name: str, version: int = 1) -> Callable[[type[F]], type[F]]:
    """Make the class a frozen, keyword-only dataclass and register it under its wire name."""

    def register(cls: type[F]) -> type[F]:
        frozen = dataclass(frozen=True, slots=True, kw_only=True)(cls)
        frozen.wire_name = wire_name
        frozen.schema_version = version
        if FACTS.setdefault(frozen.topic(), frozen) is not frozen:
            raise ValueError(f"two facts named {frozen.topic()}")
        return frozen

    return register


def upcast(topic: str, data: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Bring an older event's topic and data to the current shape, step by step."""
    while topic in UPCASTERS:
        topic, step = UPCASTERS[topic]
        data = step(data)
    return topic, data
