"""`make bench`: measures everything, and writes docs/bench.md with its plots.

Usage: python -m benchmarks [PART ...]; parts that are not named keep what they found last.
"""

import json
import os
import platform
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import checks, flushes, history, log, million
from benchmarks.figures import Findings
from benchmarks.plots import svg

DOCS = Path(__file__).parents[1] / "docs"
PLOTS = DOCS / "bench"
HEAD = """# Speed, measured

Written by `make bench`; run it on a clean clone and on a quiet machine, and read ratios rather than
rates: each is taken within one run, beside what the machine itself can do. Targets are those of the
design. What is missed says so.
"""
COLUMNS = "| what | measured | the machine's limit | ratio | target | |\n|---|---|---|---|---|---|"
PARTS: Mapping[str, Callable[[], Findings]] = {
    "checks": checks.measure,
    "history": history.measure,
    "log": log.measure,
    "flushes": flushes.measure,
    "members": million.measure,
}


def main(*words: str) -> None:
    """Measure the parts that are named, or all, and write the page."""
    if unknown := set(words) - PARTS.keys():
        sys.exit(f"there is no part {', '.join(sorted(unknown))}, but {', '.join(PARTS)}")
    wanted = words or tuple(PARTS)
    PLOTS.mkdir(exist_ok=True)
    for name in wanted:
        begun, before = datetime.now(UTC), os.getloadavg()[0]
        findings = PARTS[name]()
        told = {"machine": machine(begun, before), **asdict(findings)}
        (PLOTS / f"{name}.json").write_text(json.dumps(told, indent=1) + "\n")
        for plot in findings.plots:
            (PLOTS / f"{plot.name}.svg").write_text(svg(plot))
        print(f"\n{findings.title}\n" + "\n".join(f.line() for f in findings.figures), flush=True)
    (DOCS / "bench.md").write_text(_page(list(PARTS)))
    print(f"\nwritten: {DOCS / 'bench.md'}")


def _page(names: list[str]) -> str:
    found = [PLOTS / f"{name}.json" for name in names]
    return "\n".join([HEAD, *(_section(json.loads(p.read_text())) for p in found if p.exists())])


def _section(told: dict[str, object]) -> str:
    findings = Findings.read(told)
    lines = [f"## {findings.title}", "", findings.how, "", str(told["machine"]), ""]
    if findings.figures:
        lines += [COLUMNS, *(figure.line() for figure in findings.figures), ""]
    lines += [f"![{plot.title}](bench/{plot.name}.svg)\n" for plot in findings.plots]
    return "\n".join(lines)


def machine(begun: datetime, before: float) -> str:
    """What it ran on, and how busy that was with other things as well."""
    cores, memory = os.cpu_count(), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return (
        f"Measured on {begun:%Y-%m-%d} with {_processor()}, {cores} cores, {memory / 2**30:.0f} "
        f"GiB, Linux {_kernel()}, Python {platform.python_version()}; the load average "
        f"was {before:.1f} before and {os.getloadavg()[0]:.1f} after."
    )


def _kernel() -> str:
    """Major and minor version alone: what builders add says where it ran, not what."""
    return ".".join(platform.release().split(".")[:2])


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main(*sys.argv[1:])
