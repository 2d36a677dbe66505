"""What proves the history: checkpoints, inclusion and consistency, and the keys that verify."""

from pydantic import Field

from api import guards
from api.calls import Answer, Calls
from api.fields import Position, Shape
from api.reading import STORE
from api.shapes import Query
from api.visits import Visit
from domain.refusals import Malformed, NotFound

calls = Calls("Proof")
TEXT = "text/plain"


class InclusionQuery(Query):
    """Which event, in the tree of how many; without a size, the newest checkpoint's."""

    position: Position
    size: Position | None = None


class ConsistencyQuery(Query):
    """Two sizes; without `to`, the newest checkpoint's."""

    from_: Position = Field(alias="from")
    to: Position | None = None


class ProofOfInclusion(Shape):
    """That an event is in the tree; hashes are base64."""

    position: int
    number: int = Field(description="The event's place in the order of positions, from 0.")
    size: int
    leaf: str
    path: list[str]
    root: str


class ProofOfConsistency(Shape):
    """That the larger tree begins with the smaller one; hashes are base64."""

    from_: int = Field(serialization_alias="from")
    to: int
    path: list[str]
    from_root: str
    to_root: str


@calls.get(
    "/.well-known/twinlock-notary-keys",
    guard=guards.anyone,
    answers={200: None},
    media_types=(TEXT,),
    expects=None,
)
def get_notary_keys(visit: Visit) -> Answer:
    """The keys that checkpoints and exports are verified with, one a line, the newest first."""
    return _text("".join(f"{key}\n" for key in visit.backend.proofs.verifiers()))


@calls.get(
    "/v1/audit/checkpoint",
    guard=guards.roles("auditor"),
    answers={200: None},
    media_types=(TEXT,),
    refuses=("not-found",),
    reads=STORE,
)
def read_checkpoint(visit: Visit, query: Query) -> Answer:
    """The newest checkpoint, as a signed note (text/plain)."""
    note = visit.backend.proofs.checkpoint()
    if note is None:
        raise NotFound("Nothing has been signed yet.")
    return _text(note)


@calls.get(
    "/v1/audit/proofs/inclusion",
    guard=guards.roles("auditor"),
    answers={200: ProofOfInclusion},
    refuses=("not-found",),
    reads=STORE,
)
def read_inclusion(visit: Visit, query: InclusionQuery) -> Answer:
    """The path (RFC 9162, 2.1.3) from the event at a position to the root at a size."""
    size = _size(visit, query.size, "size")
    number = visit.backend.proofs.number_at(query.position)
    if number is None or number >= size:
        raise NotFound(f"The history of {size} events has none at this position.")
    proof = visit.backend.proofs.inclusion(number, size)
    body = ProofOfInclusion(
        position=query.position,
        number=number,
        size=size,
        leaf=proof.start,
        path=list(proof.path),
        root=proof.root,
    )
    return Answer(body=body)


@calls.get(
    "/v1/audit/proofs/consistency",
    guard=guards.roles("auditor"),
    answers={200: ProofOfConsistency},
    refuses=("not-found",),
    reads=STORE,
)
def read_consistency(visit: Visit, query: ConsistencyQuery) -> Answer:
    """The proof (RFC 9162, 2.1.4) that the larger tree grew out of the smaller one."""
    to = _size(visit, query.to, "to")
    if not 0 < query.from_ <= to:
        raise Malformed(f"from: lies between 1 and {to}.")
    proof = visit.backend.proofs.consistency(query.from_, to)
    body = ProofOfConsistency(
        from_=query.from_,
        to=to,
        path=list(proof.path),
        from_root=proof.start,
        to_root=proof.root,
    )
    return Answer(body=body)


def _size(visit: Visit, asked: int | None, name: str) -> int:
    """The size asked for, at most that of the newest checkpoint: beyond, nothing is signed."""
    head = visit.backend.proofs.head()
    if head is None:
        raise NotFound("Nothing has been signed yet.")
    if asked is not None and not 0 < asked <= head.size:
        raise Malformed(f"{name}: lies between 1 and {head.size}, the size of the checkpoint.")
    return asked or head.size


def _text(text: str) -> Answer:
    return Answer(stream=[text.encode()], media_type=TEXT)
