"""Faults of the installation as a whole: set-ups cut off, deployments, restored backups."""

import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.faults.asking import enters, insisted, opened
from tests.faults.database_faults import answered_after, backup_of
from tests.faults.ground import Ground, another_address, patient, wait_until_open
from tests.faults.journal import BOUND, UNBOUND, Acknowledged
from tests.faults.load import Answer, under
from tests.faults.log_faults import delete_topic
from tests.faults.people import code_at
from tests.faults.scenarios import Seen, Size, hold, scenario
from tests.flow.client import Reply
from tests.flow.installation import ROOT
from tests.flow.people import (
    Person,
    a_bound_member,
    a_member,
    a_workspace,
    confirm_mailbox,
    enrol,
    file_ticket,
    log_in,
    pass_with_code,
)
from tests.support.built import a_master_key
from workers import member_states

APPENDS = ("before-append", "during-append", "after-append")


@scenario("F3", "API killed in mid-binding")
def binding(ground: Ground, size: Size) -> Seen:
    """Bound or not bound, never in between; and whoever is bound can log in."""
    workspace, count = a_workspace(ground.here), size.of(9)
    for number in range(count):
        person = a_member(ground.here, workspace)
        token = log_in(ground.here, person)["pass"]
        enrol(ground.here, person, token, confirm_mailbox(ground.here, person, token))
        body = {"code": person.phone.code()}
        first = killed_at(ground, APPENDS[number % 3], f"{person.mfa}/binding", token, body)
        bound = insisted(ground, f"{person.mfa}/binding", token, body)
        acknowledge(ground, BOUND, person, [a for a in (first, bound) if a.status == 201])
        hold(bound.status in (201, 401, 409), f"{bound.status} {bound.slug} at a repeated binding")
        steady(ground)
        settled_in(ground, person)
    return Seen(count, ground.settle(), "each is bound once, and logs in")


def killed_at(ground: Ground, place: str, path: str, token: str, body: Any) -> Answer:
    """Make one request whose process dies at this place, and hold that it did."""
    before = ground.faults()
    ground.fail(place, 1.0)
    answer = ground.load.browser.ask(path, token, body)
    ground.well()
    happened = ground.faults() - before
    hold(happened == 1, f"{happened} faults at {place}, and not one")
    return answer


def acknowledge(
    ground: Ground, type_: str, person: Person, answers: list[Answer], key: str = ""
) -> None:
    """Journal what a person was told to have happened; the position is that of its append."""
    for answer in answers:
        ground.journal.write(Acknowledged(type_, person.id, answer.position, key))


def steady(ground: Ground) -> None:
    """Wait until the server is there to stay: two crashes of one worker take it along."""
    for _ in range(3):
        wait_until_open(ground.here.setting("HTTP"))
        time.sleep(0.5)


def settled_in(ground: Ground, person: Person) -> None:
    """A bound member logs in with a code."""
    ground.here.client.replies.clear()
    hold(bool(pass_with_code(ground.here, person)), "a bound member cannot log in")


@scenario("F25", "API killed at the approval that unbinds")
def approval(ground: Ground, size: Size) -> Seen:
    """The unbinding happens once, together with the approval, or not at all."""
    here, count = ground.here, size.of(6)
    workspace = a_workspace(here)
    for number in range(count):
        person = a_bound_member(here, workspace)
        ticket = file_ticket(here, person, log_in(here, person)["login_token"]).body["ticket_id"]
        call, agent = f"/v1/tickets/{ticket}", here.tokens["support"]
        claimed: Reply = here.client.post(f"{call}/claim", agent)
        hold(claimed.status == 200, f"{claimed.status} {claimed.slug} at a claim")
        body = {"reason": "Called back."}
        first = killed_at(ground, APPENDS[number % 3], f"{call}/approve", agent, body)
        again = insisted(ground, f"{call}/approve", agent, body)
        done = [a for a in (first, again) if a.status == 200]
        acknowledge(ground, UNBOUND, person, done, ticket)
        hold(again.status in (200, 409), f"{again.status} {again.slug} at a repeated approval")
        steady(ground)
        hold(unbindings(ground, person) == 1, "not exactly one unbinding")
    return Seen(count, ground.settle(), "each is unbound once")


def unbindings(ground: Ground, person: Person) -> int:
    """How often the member was unbound, by the store."""
    rows = ground.twinlock.database.fetch(
        "select count(*) from stored_events where originator_id = %s and topic = 'mfa.unbound.v1'",
        (f"member/{person.id}",),
    )
    return int(rows[0][0])


@scenario("F29", "rolling restart of two API servers under load")
def rolling(ground: Ground, size: Size) -> Seen:
    """Clients try another server only where the connection was refused."""
    first = ground.here.setting("HTTP")
    second = ground.serve("serve-2", TWINLOCK_HTTP=another_address())
    ground.load.browser.addresses[:] = [first, second]
    worst, count = 0.0, size.of(3)
    ground.journal.begin()
    with under(ground.load, rate=25) as load:
        for _ in range(count):
            for name, http in (("serve", first), ("serve-2", second)):
                begun = time.monotonic()
                ground.here.stop(name)
                worst = max(worst, time.monotonic() - begun)
                ground.serve(name, TWINLOCK_HTTP=http)
    failed = sum(n for status, n in ground.journal.statuses.items() if not 0 < status < 500)
    total = sum(ground.journal.statuses.values())
    ground.load.browser.addresses[:] = [first]
    ground.kill("serve-2")
    hold(not load.failures, f"{load.failures[:3]}")
    hold(worst < 10, f"a server took {worst:.1f} s to stop")
    hold(not failed, f"{failed} of {total} requests failed: {dict(ground.journal.statuses)}")
    return Seen(2 * count, worst, f"{total} requests, none failed; slowest stop in seconds")


@scenario("F27", "one member's master key missing under load")
def hidden_key(ground: Ground, size: Size) -> Seen:
    """A right code of that member is answered with 503, and is not spent; others log in."""
    taken = ground.people.take()
    assert taken is not None
    member, step = taken
    login, load = opened(ground, member), ground.load
    path, body = f"/v1/logins/{login['login_id']}/code", {"code": code_at(member.secret, step)}
    ground.journal.begin()
    with under(load):
        with key_hidden(ground, f"member/{member.id}"):
            told = load.browser.ask(path, login["login_token"], body)
            again = opened(ground, member)["state"]
            time.sleep(1)
        begun = time.monotonic()
        hold(enters(ground, login, member, step) == 200, "a right code is refused afterwards")
        back = time.monotonic() - begun
    hold(told.status == 503 and told.retry_after.isdigit(), f"{told.status} without the key")
    hold(again == "code_required", f"{again} without the key")
    hold(ground.journal.statuses[503] == 1, f"{ground.journal.statuses[503]} were stopped, not one")
    hold(not load.failures, f"{load.failures[:3]}")
    return Seen(1, back, "503 for its member alone, who is still asked for a code")


@contextmanager
def key_hidden(ground: Ground, owner: str) -> Iterator[None]:
    """The owner's data key names a master key that nobody has, until the end of the block."""
    set_key = "update vault_keys set key_id = %s where owner = %s"
    [(key_id,)] = ground.twinlock.database.fetch(
        "select key_id from vault_keys where owner = %s", (owner,)
    )
    ground.twinlock.database.execute(set_key, ("hidden", owner))
    try:
        yield
    finally:
        ground.twinlock.database.execute(set_key, (key_id, owner))


@scenario("F27", "master key rotated under load")
def rotated(ground: Ground, size: Size) -> Seen:
    keys = f"{a_master_key('k2')},{ground.here.setting('MASTER_KEY')}"
    ground.kill("serve")
    ground.serve(TWINLOCK_MASTER_KEY=keys)
    with under(ground.load) as load:
        begun = time.monotonic()
        env = {**ground.here.env, "TWINLOCK_MASTER_KEY": keys}
        done = subprocess.run(
            [ROOT / "bin/twinlock", "keys", "rotate"], env=env, capture_output=True, text=True
        )
        took = time.monotonic() - begun
    hold(done.returncode == 0, done.stderr[-200:])
    hold(not load.failures, f"{load.failures[:3]}")
    ground.here.env = {**ground.here.env, "TWINLOCK_MASTER_KEY": keys}
    for name in ("relay", "project", "mail"):
        ground.kill(name)
        ground.work(name)
    return Seen(1, took, "old ciphertext reads; seconds of the rotation")


@scenario("F26", "an older backup of the database restored")
def restored(ground: Ground, size: Size) -> Seen:
    """What came after it is gone; all that comes later is on the topic and in the read models."""
    ground.settle()
    with backup_of(ground) as copy:
        kept, asked = head_of(ground), Counter(ground.journal.asked)
        with under(ground.load):
            time.sleep(size.seconds)
        ground.settle()
        ghosts = ground.twinlock.store.head()
        for name in ("serve", "relay", "project", "mail"):
            ground.kill(name)
        ground.postgres.stop()
        data = ground.postgres.folder / "data"
        shutil.rmtree(data)
        copy.rename(data)
    # As docs/operations.md tells the operator: the states are of the lost time.
    delete_topic(ground, f"{ground.topic}{member_states.SUFFIX}")
    begun = time.monotonic()
    ground.postgres.restart()
    dropped = ground.journal.forget_after(kept, asked)
    for name in ("relay", "project", "mail"):
        ground.work(name)
    wait_until_apart(ground, ghosts)
    ground.serve()
    with under(ground.load) as load:
        answered_after(ground, time.monotonic())
        back = time.monotonic() - begun
        time.sleep(3)
    hold(not load.failures, f"{load.failures[:3]}")
    ground.settle()
    hold(ground.twinlock.store.head() > ghosts, "positions are used again")
    return Seen(1, back, f"{dropped} acknowledgements after the backup are gone, as they must")


def wait_until_apart(ground: Ground, told: int) -> None:
    """Wait until the relay has met what the topic tells, as its operator does before serving."""
    deadline = time.monotonic() + 60
    with patient(ground.twinlock) as connection:
        while connection.execute("SELECT twinlock_last_id() < %s", (told,)).fetchone() == (True,):
            hold(time.monotonic() < deadline, "the relay never leads")
            time.sleep(0.1)


def head_of(ground: Ground) -> int:
    """The store's head, as soon as the database answers."""
    with patient(ground.twinlock):
        return ground.twinlock.store.head()
