"""`python -m tests.faults`: plays every fault, judges each, prints and writes the table.

Options: `--only F5,F9` plays some rows, `--times 10` injects so many times more faults, `--seconds
600` keeps broker, database and mail server away that long, `--pairs 100000` goes on with parallel
pairs across kills of API and database until there were so many (N1), `--list` lists the rows.
"""

import argparse
import logging
import sys
import time
import traceback
from collections.abc import Iterable

import structlog

from tests.faults import (
    clock_faults,
    cluster,
    command_faults,
    database_faults,
    log_faults,
    mail_faults,
    projector_faults,
    whole_faults,
)
from tests.faults.ground import Ground, ground
from tests.faults.oracle import Verdict, judge
from tests.faults.scenarios import SCENARIOS, Scenario, Size
from tests.faults.table import HEAD, Row, summary, write

PLAYED = (
    command_faults,
    database_faults,
    log_faults,
    projector_faults,
    mail_faults,
    clock_faults,
    whole_faults,
    cluster,
)
OWN_GROUND = {database_faults.full_disk, cluster.one_of_three}


def main() -> None:
    """Play what was asked for; status 1 where anything did not hold."""
    options = _options()
    wanted = [each for each in in_order() if not options.only or each.row in options.only]
    if options.list:
        for each in wanted:
            print(f"{each.row:4}{each.fault}")
        return
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    begun = time.monotonic()
    size = Size(options.times, options.seconds)
    print(HEAD)
    rows, pairs, events = played_together(wanted, size, options.pairs)
    rows += played(None, [each for each in wanted if each.harm in OWN_GROUND], size)
    said = summary(rows, pairs, events, time.monotonic() - begun)
    print(said)
    if not options.only:
        write(rows, said)
    sys.exit(0 if all(row.well for row in rows) else 1)


def played_together(
    wanted: list[Scenario], size: Size, more_pairs: int
) -> tuple[list[Row], int, int]:
    """Play what shares a ground; the rows, how many pairs of requests and how many events."""
    shared = [each for each in wanted if each.harm not in OWN_GROUND]
    if not shared and not more_pairs:
        return [], 0, 0
    with ground(bound=3000 if more_pairs else 800) as here:
        rows = list(played(here, shared, size))
        if more_pairs:
            rows.append(many_pairs(here, more_pairs))
        return rows, here.load.pairs, rows[-1].verdict.events


def in_order() -> list[Scenario]:
    """All scenarios: the modules in the order in which they are played."""
    places = {module.__name__: place for place, module in enumerate(PLAYED)}
    return sorted(SCENARIOS, key=lambda each: places[each.harm.__module__])


def played(here: Ground | None, scenarios: Iterable[Scenario], size: Size) -> Iterable[Row]:
    """Play one after the other, each judged before the next, unless it judges itself."""
    for each in scenarios:
        row = play(here, each, size)
        print(
            row.line(), *(f"        {told}" for told in row.verdict.told[:5]), sep="\n", flush=True
        )
        yield row


def play(here: Ground | None, each: Scenario, size: Size) -> Row:
    """Play and judge; whatever is raised is a failure of the row."""
    seen, failure, verdict = None, "", Verdict()
    try:
        seen = each.harm(here, size)  # type: ignore[arg-type]
    except Exception as error:
        failure = f"{type(error).__name__}: {error}"
        if "--trace" in sys.argv:
            traceback.print_exc()
    try:
        if here is not None:
            here.well()
            here.settle()
            verdict = judge(here)
    except Exception as error:
        failure = failure or f"{type(error).__name__}: {error}"
    return Row(each, seen, verdict, failure)


def many_pairs(here: Ground, count: int) -> Row:
    """Go on with pairs until there were so many, while API and database are killed (N1, N2)."""

    def harm(ground_: Ground, _: Size) -> object:
        return command_faults.pairs_across_kills(ground_, count)

    return play(here, Scenario("N1", f"{count} parallel pairs across kills", harm), Size())  # type: ignore[arg-type]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", type=lambda text: set(text.split(",")), default=set[str]())
    parser.add_argument("--times", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--pairs", type=int, default=0)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--trace", action="store_true", help="tell where a failure came from")
    return parser.parse_args()


if __name__ == "__main__":
    main()
