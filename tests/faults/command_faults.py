"""Faults of the API: killed at each step of a command, or told nothing of its commit."""

import time

from tests.faults.ground import Ground
from tests.faults.load import under
from tests.faults.scenarios import Seen, Size, hold, scenario


def killed(ground: Ground, place: str, count: int, chance: float = 0.04) -> Seen:
    """Let API processes die at a place under load."""
    ground.journal.begin()
    with under(ground.load) as load:
        injected = ground.fail_until(place, chance, count, seconds=20 + count * 2)
        time.sleep(1.5)
    hold(not load.failures, f"{load.failures[:3]}")
    gap = ground.journal.longest_gap()
    return Seen(injected, gap, f"{ground.load.pairs} pairs so far")


@scenario("F1", "API killed before the append")
def before_append(ground: Ground, size: Size) -> Seen:
    return killed(ground, "before-append", size.of(30))


@scenario("F1", "API killed during the append")
def during_append(ground: Ground, size: Size) -> Seen:
    return killed(ground, "during-append", size.of(30))


@scenario("F2", "API killed after the commit, before the answer")
def after_append(ground: Ground, size: Size) -> Seen:
    ground.load.keyed = True
    try:
        return killed(ground, "after-append", size.of(30))
    finally:
        ground.load.keyed = False


@scenario("F4", "the commit's answer is lost")
def lost_answer(ground: Ground, size: Size) -> Seen:
    ground.load.keyed = True
    try:
        return killed(ground, "lost-answer", size.of(250), chance=0.4)
    finally:
        ground.load.keyed = False


def pairs_across_kills(ground: Ground, count: int) -> Seen:
    """Pairs of requests with one code, while API processes and the database are killed."""
    before, wanted = ground.faults(), ground.load.pairs + count
    restarts = 0
    ground.journal.begin()
    with under(ground.load, threads=8, rate=1000) as load:
        ground.fail("after-append", 0.002)
        while load.pairs < wanted and len(load.failures) < 10:
            time.sleep(20)
            ground.postgres.kill()
            ground.postgres.restart()
            restarts += 1
        ground.well()
    hold(not load.failures, f"{load.failures[:3]}")
    injected = ground.faults() - before + restarts
    return Seen(injected, ground.journal.longest_gap(), f"{restarts} of them database restarts")
