"""A load that never lets go: pairs of requests with one code, and logins, each journalled."""

import json
import random
import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import Any

from tests.faults.journal import ACCEPTED, GRANTED, REJECTED, Acknowledged, Journal
from tests.faults.people import WORKSPACE, People, code_at

PATIENCE = 90.0
TIMEOUT = 15.0


class GivenUp(Exception):
    """No answer for a minute and a half, or one that no client expects."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; status 0 where nothing did."""

    status: int
    position: int = 0
    body: Any = None
    retry_after: str = ""

    @property
    def unsure(self) -> bool:
        """Whether the client can't know what was done."""
        return self.status == 0 or self.status >= 500

    @property
    def slug(self) -> str:
        """Why not."""
        return str(self.body["type"]).rpartition("/")[2] if self.status >= 400 else ""


@dataclass
class Browser:
    """Makes requests of the servers at hand; only connections that were refused are tried again."""

    addresses: list[str]
    journal: Journal

    def ask(self, path: str, token: str, body: Any, key: str = "") -> Answer:
        """Make a POST once, on a new connection, and note how it went."""
        begun = time.monotonic()
        answer = self._ask(path, token, body, key)
        self.journal.answer(answer.status, time.monotonic() - begun, answer.retry_after)
        return answer

    def _ask(self, path: str, token: str, body: Any, key: str) -> Answer:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        connection = self._connected()
        if connection is None:
            return Answer(0)
        try:
            connection.request("POST", path, json.dumps(body), headers)
            reply = connection.getresponse()
            content = reply.read()
            position = int(reply.headers.get("Twinlock-Position") or 0)
            told = json.loads(content) if content else None
            return Answer(reply.status, position, told, reply.headers.get("Retry-After") or "")
        except (OSError, HTTPException, ValueError):
            return Answer(0)
        finally:
            connection.close()

    def _connected(self) -> HTTPConnection | None:
        for address in random.sample(self.addresses, len(self.addresses)):
            host, _, port = address.rpartition(":")
            connection = HTTPConnection(host, int(port), timeout=TIMEOUT)
            try:
                connection.connect()
                return connection
            except OSError:
                connection.close()
        return None


@dataclass
class Load:
    """Threads that work through people until they are told to stop."""

    browser: Browser
    host: str
    people: People
    journal: Journal
    pairs: int = 0
    keyed: bool = False
    failures: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, pause: float) -> None:
        """Be one of the threads."""
        with ThreadPoolExecutor(2) as hands:
            while not self.stop.wait(pause):
                try:
                    if random.random() < 0.25:
                        self._grant()
                    else:
                        self._pair(hands)
                except GivenUp as error:
                    self.failures.append(str(error))

    def _pair(self, hands: ThreadPoolExecutor) -> None:
        """One code at two logins at once; afterwards it is certain whether it was accepted."""
        taken = self.people.take()
        if taken is None:
            self.stop.wait(0.2)
            return
        member, step = taken
        try:
            logins = [self._open(member.id) for _ in range(2)]
            proof = {"code": code_at(member.secret, step)}
            answers = list(hands.map(lambda login: self._enter(login, proof), logins))
            for login, answer in zip(logins, answers, strict=True):
                self._note(member.id, step, login, answer)
            if all(answer.status != 200 for answer in answers):
                self._insist(member.id, step, logins[0], proof)
            self.pairs += 1
        finally:
            self.people.give(member)

    def _insist(self, member_id: str, step: int, login: Any, proof: Any) -> None:
        """The same code again, until the answer is sure: it is spent, or it is accepted now."""
        answer = self._until_sure(lambda: self._enter(login, proof))
        self._note(member_id, step, login, answer)

    def _note(self, member_id: str, step: int, login: Any, answer: Answer) -> None:
        if answer.status == 200:
            entry = Acknowledged(ACCEPTED, member_id, answer.position, login["login_id"], step)
            self.journal.write(entry)
        elif answer.status == 403 and answer.slug == "code-rejected":
            self.journal.write(Acknowledged(REJECTED, member_id, answer.position))
        elif not answer.unsure and answer.status != 409:
            raise GivenUp(f"{answer.status} {answer.slug} at a code")

    def _grant(self) -> None:
        """A login that needs no code, asked for until the answer is sure, where told to by key."""
        member_id = random.choice(self.people.unbound)
        key = secrets.token_hex(12) if self.keyed else ""
        answer = self._opened(member_id, key)
        if answer.body is None:  # repeated after a crash: done, and the body is not known
            self.journal.write(Acknowledged(GRANTED, member_id, answer.position))
        elif answer.body["state"] == "granted":
            login_id = answer.body["login_id"]
            self.journal.write(Acknowledged(GRANTED, member_id, answer.position, login_id))
        else:
            raise GivenUp(f"{answer.body['state']} for a member who is not bound")

    def _open(self, member_id: str) -> Any:
        return self._opened(member_id).body

    def _opened(self, member_id: str, key: str = "") -> Answer:
        body = {"workspace_id": WORKSPACE, "member_id": member_id}
        if key:
            self.journal.ask(member_id)

        def ask() -> Answer:
            if not key:
                self.journal.ask(member_id)
            return self.browser.ask("/v1/logins", self.host, body, key)

        answer = self._until_sure(ask)
        if answer.status != 201 and not (key and answer.status == 200):
            raise GivenUp(f"{answer.status} {answer.slug} at a login")
        return answer

    def _enter(self, login: Any, proof: Any) -> Answer:
        path = f"/v1/logins/{login['login_id']}/code"
        return self.browser.ask(path, login["login_token"], proof)

    def _until_sure(self, ask: Any) -> Answer:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            answer: Answer = ask()
            if not answer.unsure and answer.slug != "in-progress":
                return answer
            time.sleep(random.uniform(0.05, 0.15))
        raise GivenUp("no sure answer in time")


@contextmanager
def under(load: Load, *, threads: int = 6, rate: float = 40) -> Iterator[Load]:
    """Keep the load up, at most so many operations a second, until the end of the block."""
    load.stop.clear()
    load.failures.clear()
    pause = threads / rate
    workers = [threading.Thread(target=load.run, args=(pause,)) for _ in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield load
    finally:
        load.stop.set()
        for worker in workers:
            worker.join()
