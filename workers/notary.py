"""The notary: hashes the history into a tree, signs checkpoints of it, and watches over it."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from threading import Event
from typing import Any, Protocol

import structlog
from psycopg import Connection

from domain.notes import BadNote, Checkpoint
from domain.tampering import ALTERED, FORGED, ROLLED_BACK, Finding
from workers import checkpoints, tiles
from workers.checkpoints import Witness
from workers.history_check import HistoryCheck
from workers.loops import keep_going, takes_lead
from workers.ports import Connect, Events, Followed, LogUnavailable, Source

BEAT = 0.5
PAGE = 2000
NEVER = 1 << 62
SECONDS = 30.0
"""Between two checkpoints, where anything has changed."""
LAST_SECONDS = 4.0
"""How long a notary that is told to stop goes on hashing."""
SHARE = 0.1
"""How much of the notary's time goes into reading the old history again and again."""
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('twinlock notary tree', 0))"

log = structlog.get_logger()


class Signer(Protocol):
    """The notary's keys."""

    @property
    def origin(self) -> str: ...
    def sign(self, text: str) -> str:
        """The text as a signed note."""
        ...

    def open(self, note: str) -> str:
        """The text of a note of ours; raises BadNote."""
        ...


class Contradiction(Exception):
    """The history is not the one that was signed before: there is nothing to sign."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(str(finding))
        self.finding = finding


def hash_new(connection: Connection[Any], source: Events) -> int:
    """Hash a page of events that the tree does not have yet; answers how many."""
    with connection.transaction():
        connection.execute(LOCK)
        edge = tiles.edge(connection)
        records = source.events(edge.position, PAGE)
        if records:
            tiles.grow(connection, tiles.frontier(connection, edge.size), records)
    return len(records)


def sign(connection: Connection[Any], signer: Signer, outside: Sequence[str] = ()) -> bool:
    """Sign a checkpoint of the tree as it is, where it has grown; says whether it did.

    Raises Contradiction where it did not grow out of the last checkpoint, in the database or in
    a note that was kept outside of it.
    """
    with connection.transaction():
        connection.execute(LOCK)
        edge = tiles.edge(connection)
        last = checkpoints.newest(connection)
        known = [agreed(connection, signer, note, edge) for note in [last, *outside] if note]
        if not edge.size or (last and known[0].size == edge.size):
            return False
        checkpoint = Checkpoint(
            origin=signer.origin,
            size=edge.size,
            root=tiles.root(connection, edge.size),
            position=edge.position,
            made_at=max([datetime.now(UTC), *(each.made_at for each in known)]),
        )
        checkpoints.keep(connection, checkpoint, signer.sign(checkpoint.text))
    return True


def agreed(connection: Connection[Any], signer: Signer, note: str, edge: tiles.Edge) -> Checkpoint:
    """The checkpoint of a note that the history agrees with; raises Contradiction."""
    try:
        last = Checkpoint.parse(signer.open(note))
    except BadNote as bad:
        raise Contradiction(Finding(0, 0, FORGED, f"the last checkpoint: {bad}")) from bad
    begin = min(edge.position, last.position) + 1
    if last.size > edge.size:
        detail = f"the last checkpoint has {last.size} events, the history {edge.size}"
        raise Contradiction(Finding(begin, last.position, ROLLED_BACK, detail))
    try:
        same = tiles.root(connection, last.size) == last.root
    except tiles.MissingNodes:
        same = False
    if not same:
        detail = f"not the history that the checkpoint of {last.size} events has signed"
        raise Contradiction(Finding(1, last.position, ROLLED_BACK, detail))
    return last


class Notary:
    """Leads while it holds a session lock; what it signs is in the database before it is told."""

    def __init__(
        self,
        store: Followed,
        connect: Connect,
        signer: Signer,
        witnesses: Sequence[Witness] = (),
        *,
        seconds: float = SECONDS,
    ) -> None:
        self._store = store
        self._connect = connect
        self._signer = signer
        self._witnesses = witnesses
        self._seconds = seconds

    def run(self, stop: Event) -> None:
        """Follow, sign and watch until `stop` is set."""
        keep_going("notary", lambda: self.session(stop), stop)

    def session(self, stop: Event) -> None:
        """Lead if nobody else does, until something is lost or `stop` is set."""
        with self._connect() as connection:
            if not takes_lead(connection, "notary", stop):
                return
            with closing(self._store.follow()) as source:
                log.info("notary.leads", position=tiles.edge(connection).position)
                watch = _Watch(connection, source, self._signer, self._witnesses)
                watch.go(stop, self._seconds)


class _Watch:
    """One leader's work."""

    def __init__(
        self,
        connection: Connection[Any],
        source: Source,
        signer: Signer,
        witnesses: Sequence[Witness],
    ) -> None:
        self._connection = connection
        self._source = source
        self._signer = signer
        self._witnesses = {each.name: each for each in witnesses}
        self._told: dict[str, int] = {}
        self._outside: dict[str, str] = {}
        self._said: set[str] = set()
        self._whole = False
        self._signed_at = 0.0

    def go(self, stop: Event, seconds: float) -> None:
        """Hash at once, sign from time to time, and patrol in between."""
        while self._hash() and not stop.is_set():
            pass
        self._ask_witnesses()
        patrol = self._patrol()
        while not stop.is_set():
            grown = self._hash()
            if time.monotonic() - self._signed_at >= seconds:
                self._sign()
            self._publish()
            _spend(patrol, BEAT * (SHARE if self._whole else 1))
            if grown < PAGE:
                self._source.wait(BEAT)
        deadline = time.monotonic() + LAST_SECONDS
        while self._hash() and time.monotonic() < deadline:
            pass
        self._sign()
        self._publish()

    def _hash(self) -> int:
        """Go on hashing; a tree that has lost nodes grows no more, and is told of."""
        try:
            return hash_new(self._connection, self._source)
        except tiles.MissingNodes as missing:
            edge = tiles.edge(self._connection)
            self._alarm([Finding(1, edge.position, ALTERED, str(missing))])
            return 0

    def _sign(self) -> None:
        """Only over a history that was read from its beginning, and found to be whole."""
        if not self._whole:
            return
        try:
            if sign(self._connection, self._signer, list(self._outside.values())):
                self._signed_at = time.monotonic()
        except Contradiction as contradiction:
            self._alarm([contradiction.finding])

    def _patrol(self) -> Iterator[None]:
        """Read the history from its beginning, again and again."""
        while True:
            outside = list(self._outside.values())
            check = HistoryCheck(self._connection, self._source, self._signer.open, outside)
            for _ in check.steps():
                if not check.exact:
                    self._whole = False
                yield
            checkpoints.remember(self._connection, check.findings[:1000])
            if check.exact and not self._whole:
                log.info("notary.history_is_whole", position=check.edge.position)
            if not check.exact:
                self._alarm(check.findings)
            else:
                self._said.clear()
            self._whole = check.exact
            yield

    def _alarm(self, findings: Sequence[Finding]) -> None:
        """Say each thing once, and sign nothing more until the history is whole again."""
        self._whole = False
        for finding in findings[:20]:
            if str(finding) not in self._said:
                self._said.add(str(finding))
                log.error(
                    "notary.history_was_tampered_with",
                    kind=finding.kind,
                    position=finding.position,
                    until=finding.until,
                    detail=finding.detail,
                )

    def _ask_witnesses(self) -> None:
        """What was kept outside is asked before anything is signed; one that is away, later."""
        for name, witness in self._witnesses.items():
            if name in self._told:
                continue
            with self._telling(name):
                note = witness.newest()
                self._told[name] = 0
                if note is not None:
                    self._outside[name] = note
                    self._told[name] = self._agreed(note)

    def _agreed(self, note: str) -> int:
        """The size of a note that the history agrees with; nothing is added behind any other."""
        try:
            return agreed(self._connection, self._signer, note, tiles.edge(self._connection)).size
        except Contradiction as contradiction:
            self._alarm([contradiction.finding])
            return NEVER

    def _publish(self) -> None:
        """Hand every witness what it does not have yet, out of the database, if it is genuine."""
        self._ask_witnesses()
        for name, size in list(self._told.items()):
            notes = [note for _, note in checkpoints.behind(self._connection, size)]
            try:
                sizes = [size, *(Checkpoint.parse(self._signer.open(note)).size for note in notes)]
            except BadNote as bad:
                self._alarm([Finding(0, 0, FORGED, f"a checkpoint: {bad}")])
                continue
            if any(one >= other for one, other in pairwise(sizes)):
                self._alarm([Finding(0, 0, FORGED, "a checkpoint stands where another belongs")])
                continue
            if notes:
                with self._telling(name):
                    self._witnesses[name].put(notes)
                    self._outside[name] = notes[-1]
                    self._told[name] = sizes[-1]

    @contextmanager
    def _telling(self, name: str) -> Iterator[None]:
        """A witness that is away is told of once, and tried again."""
        try:
            yield
            self._said.discard(name)
        except (OSError, LogUnavailable) as error:
            if name not in self._said:
                self._said.add(name)
                log.warning("notary.witness_is_away", witness=name, fault=type(error).__name__)


def _spend(steps: Iterator[None], seconds: float) -> None:
    """Go on for a while, at least by one step."""
    deadline = time.monotonic() + seconds
    for _ in steps:
        if time.monotonic() >= deadline:
            return
