"""A bar chart as SVG: groups of bars with their values, readable in light and in dark."""

from html import escape
from math import floor, log10

from benchmarks.figures import Plot

WIDTH, LEFT, TOP, HEIGHT, FOOT = 760, 70, 60, 240, 46
COLOURS = ("#3b6fb6", "#d9822b", "#3a9a6e", "#b0478b", "#7a6bc2", "#8a8f98")
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#333}.title{font-size:15px;font-weight:600}"
    ".value{font-size:10px}.grid{stroke:#bbb;stroke-width:.5}.back{fill:#fff}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}.back{fill:#16181d}.grid{stroke:#555}}"
)


def svg(plot: Plot) -> str:
    """The whole picture."""
    top = _round_up(max(max(values) for values in plot.series.values()))
    parts = [
        f'<rect class="back" width="{WIDTH}" height="{TOP + HEIGHT + FOOT}"/>',
        _text(LEFT, 22, f"{plot.title} ({plot.unit})", "title"),
        *_legend(plot),
        *_grid(top),
        *_bars(plot, top),
    ]
    size = f'viewBox="0 0 {WIDTH} {TOP + HEIGHT + FOOT}" width="{WIDTH}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size}>'
    return (
        f"{head}<title>{escape(plot.title)}</title><style>{STYLE}</style>{''.join(parts)}</svg>\n"
    )


def _legend(plot: Plot) -> list[str]:
    parts, x = [], LEFT
    for number, name in enumerate(plot.series):
        colour = COLOURS[number % len(COLOURS)]
        parts.append(f'<rect x="{x}" y="34" width="11" height="11" fill="{colour}"/>')
        parts.append(_text(x + 16, 44, name))
        x += 34 + 7 * len(name)
    return parts


def _grid(top: float) -> list[str]:
    parts = []
    for step in range(5):
        y = TOP + HEIGHT - HEIGHT * step / 4
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - 10}" y1="{y}" y2="{y}"/>')
        parts.append(_text(LEFT - 8, y + 4, _short(top * step / 4), anchor="end"))
    return parts


def _bars(plot: Plot, top: float) -> list[str]:
    group = (WIDTH - 10 - LEFT) / len(plot.labels)
    width = min(56.0, group * 0.86 / len(plot.series))
    parts = []
    for place, label in enumerate(plot.labels):
        middle = LEFT + group * (place + 0.5)
        parts.append(_text(middle, TOP + HEIGHT + 20, label, anchor="middle"))
        for number, values in enumerate(plot.series.values()):
            x = middle + width * (number - len(plot.series) / 2)
            high = HEIGHT * values[place] / top
            y = TOP + HEIGHT - high
            shape = f'x="{x:.1f}" y="{y:.1f}" width="{width - 3:.1f}" height="{high:.1f}"'
            parts.append(f'<rect {shape} fill="{COLOURS[number % len(COLOURS)]}"/>')
            parts.append(_text(x + width / 2, y - 4, _short(values[place]), "value", "middle"))
    return parts


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    place = f'class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f"<text {place}>{escape(words)}</text>"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _round_up(value: float) -> float:
    step: float = 10 ** floor(log10(value)) / 2
    return (floor(value / step) + 1) * step
