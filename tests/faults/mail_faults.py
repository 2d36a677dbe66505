"""Faults of mail: the mailer killed around a mail, the mail server away, or slow."""

import time
from collections import Counter
from email import message_from_bytes, policy
from statistics import median

from tests.faults.ground import Ground
from tests.faults.scenarios import Seen, Size, hold, scenario
from tests.faults.tarpit import Tarpit
from tests.flow.installation import Installation
from tests.flow.people import Person, a_member, a_workspace, log_in
from tests.flow.postbox import SIX_DIGITS, Letter

APART = 2.0
"""Milliseconds by which medians for known and unknown addresses may differ (N24)."""


def members(ground: Ground, count: int) -> list[tuple[Person, str]]:
    """New members, each with a pass."""
    workspace = a_workspace(ground.here)
    people = [a_member(ground.here, workspace) for _ in range(count)]
    return [(person, log_in(ground.here, person)["pass"]) for person in people]


def ask_for_code(here: Installation, person: Person, token: str) -> float:
    """Ask for the code to bind with; how long the answer took."""
    begun = time.monotonic()
    reply = here.client.post(f"{person.mfa}/email-codes", token, {"purpose": "bind"})
    hold(reply.status == 202, f"{reply.status} {reply.slug} for an email code")
    return time.monotonic() - begun


def letters_to(box: Tarpit, person: Person) -> list[Letter]:
    """Mails with a code."""
    with box.arrived:
        return [each for each in box.letters if each.to == person.email]


def sent_to_all(ground: Ground, people: list[Person], seconds: float) -> float:
    """How long until everybody has a mail."""
    begun = time.monotonic()
    while missing := [p for p in people if not letters_to(ground.postbox, p)]:
        hold(time.monotonic() - begun < seconds, f"{len(missing)} mails never came")
        time.sleep(0.1)
    return time.monotonic() - begun


def end_leases(ground: Ground) -> None:
    """Let the minute pass for which a mailer that died has its mail."""
    with ground.twinlock.connect() as connection:
        connection.execute("UPDATE mail_queue SET next_at = now() WHERE status = 'due'")


def killed(ground: Ground, place: str, count: int) -> Seen:
    """Let the mailer die at a place, and judge the copies that came of it."""
    asked = members(ground, count)
    ground.settle()
    before = ground.faults()
    ground.fail(place, 0.7)
    for person, token in asked:
        ask_for_code(ground.here, person, token)
    time.sleep(4)
    ground.well()
    injected = ground.faults() - before
    end_leases(ground)
    people = [person for person, _ in asked]
    back = sent_to_all(ground, people, 30)
    time.sleep(0.5)
    copies = sum(len(letters_to(ground.postbox, person)) - 1 for person in people)
    hold(copies <= injected, f"{copies} copies after {injected} kills")
    for person in people:
        hold(len(codes(ground.postbox, person)) == 1, "two mails of one challenge differ")
    ground.settle()
    return Seen(injected, back, f"{copies} copies, of the same code; its lease of 60 s cut short")


def codes(box: Tarpit, person: Person) -> Counter[tuple[str, str]]:
    """The different codes, with the ids of their mails."""
    found: Counter[tuple[str, str]] = Counter()
    for letter in letters_to(box, person):
        code = SIX_DIGITS.search(letter.text)
        name = message_from_bytes(letter.raw, policy=policy.default)["Message-ID"]
        found[code[1] if code else "", str(name)] += 1
    return found


@scenario("F24", "mailer killed before it sends")
def before_send(ground: Ground, size: Size) -> Seen:
    return killed(ground, "before-send", size.of(12))


@scenario("F24", "mailer killed after it sent, before it marked")
def after_send(ground: Ground, size: Size) -> Seen:
    return killed(ground, "after-send", size.of(12))


@scenario("F22", "mail server away")
def away(ground: Ground, size: Size) -> Seen:
    asked = members(ground, size.of(6))
    ground.postbox.pause()
    slowest = max(ask_for_code(ground.here, person, token) for person, token in asked)
    time.sleep(size.seconds)
    ground.postbox.resume()
    back = sent_to_all(ground, [person for person, _ in asked], 60)
    hold(slowest < 2, f"a request waited {slowest:.1f} s for the mail server")
    ground.settle()
    return Seen(1, back, f"{size.seconds:.0f} s; slowest request {slowest * 1000:.0f} ms")


@scenario("F23", "mail server slow")
def slow(ground: Ground, size: Size) -> Seen:
    """Known and unknown addresses are answered alike meanwhile."""
    known = [person for person, _ in members(ground, 20)]
    ground.postbox.seconds = size.seconds
    path = "/v1/tickets/email-codes"
    took: dict[bool, list[float]] = {True: [], False: []}
    for number in range(40):
        one = known[number // 2].email if number % 2 else f"nobody-{number}@example.org"
        begun = time.monotonic()
        reply = ground.here.client.post(path, None, {"email": one})
        took[bool(number % 2)].append(time.monotonic() - begun)
        hold(reply.status == 202, f"{reply.status} for an address")
    ground.postbox.seconds = 0.0
    gap = abs(median(took[True]) - median(took[False])) * 1000
    hold(gap <= APART, f"medians are {gap:.1f} ms apart")
    hold(max(took[True] + took[False]) < 2, "a request waited for the mail server")
    end_leases(ground)
    back = sent_to_all(ground, [known[0]], 60)
    ground.settle()
    return Seen(1, back, f"{size.seconds:.0f} s a mail; medians {gap:.1f} ms apart")
