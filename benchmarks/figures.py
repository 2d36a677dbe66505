"""What a measurement found: figures for the table, and bars for the plots."""

from dataclasses import dataclass, field
from typing import Any

Series = dict[str, list[float]]


@dataclass(frozen=True)
class Figure:
    """A line of the table; `met` is None where DESIGN.md section 8 sets no target."""

    what: str
    measured: str
    limit: str = ""
    ratio: str = ""
    target: str = ""
    met: bool | None = None

    def line(self) -> str:
        """As Markdown."""
        verdict = {True: "met", False: "**missed**", None: ""}[self.met]
        cells = (self.what, self.measured, self.limit, self.ratio, self.target, verdict)
        return f"| {' | '.join(cells)} |"


@dataclass(frozen=True)
class Plot:
    """Bars in groups: one group for each label, one bar in it for each series."""

    name: str
    title: str
    unit: str
    labels: list[str]
    series: Series


@dataclass(frozen=True)
class Findings:
    """One part of the table, with a sentence on how it was measured, and its plots."""

    name: str
    title: str
    how: str
    figures: list[Figure]
    plots: list[Plot] = field(default_factory=list)

    @classmethod
    def read(cls, said: dict[str, Any]) -> "Findings":
        """Out of JSON."""
        figures = [Figure(**each) for each in said["figures"]]
        plots = [Plot(**each) for each in said["plots"]]
        return cls(said["name"], said["title"], said["how"], figures, plots)


def median(values: list[float]) -> float:
    """The middle one of the values."""
    return sorted(values)[len(values) // 2]


def percentile(values: list[float], share: float) -> float:
    """The value that this share of the values does not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
