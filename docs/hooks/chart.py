"""Pictures of listings: a dot and its interval for each formula, in the colours of the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from listings import SEARCH, Line

SIZES = ("params", "flops")
LABELS, PLOT, ROW, TOP = 190, 430, 20, 26


def intervals(lines: Sequence[Line], title: str) -> str:
    """An SVG of Spearman correlations with their 95 % intervals; lines without one are left out."""
    drawn = [line for line in lines if line.spearman is not None]
    ends = [0.0, *(line.low for line in drawn if line.low is not None)]
    ends += [line.spearman for line in drawn]
    lowest = math.floor(5 * min(ends)) / 5
    height = TOP + ROW * len(drawn) + 6

    def x(value: float) -> float:
        return LABELS + PLOT * (value - lowest) / (1 - lowest)

    parts = [f'<svg class="intervals" role="img" viewBox="0 0 {LABELS + PLOT + 20} {height}" '
             f'xmlns="http://www.w3.org/2000/svg"><title>{escape(title)}</title>']  # fmt: skip
    for tick in range(round(5 * lowest), 6):
        at = x(tick / 5)
        kind = "zero" if tick == 0 else "grid"
        parts.append(f'<line class="{kind}" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP - 6}" '
                     f'y2="{height}"/><text class="tick" x="{at:.1f}" y="12">{tick / 5:g}</text>')  # fmt: skip
    for number, line in enumerate(drawn):
        parts.append(_row(line, TOP + ROW * number + ROW / 2, x))
    return "".join([*parts, "</svg>"])


def _row(line: Line, y: float, x) -> str:
    kind = "size" if line.proxy in SIZES else "found" if line.proxy == SEARCH else "formula"
    name = line.proxy if len(line.proxy) < 30 else f"{line.proxy[:28]}…"
    bar = ""
    if line.low is not None and line.high is not None:
        bar = f'<line x1="{x(line.low):.1f}" x2="{x(line.high):.1f}" y1="{y}" y2="{y}"/>'
    mark = (
        f'<rect x="{x(line.spearman) - 4:.1f}" y="{y - 4}" width="8" height="8"/>'
        if kind == "size"
        else f'<circle cx="{x(line.spearman):.1f}" cy="{y}" r="4.5"/>'
    )
    return (
        f'<g class="{kind}"><title>{escape(line.proxy)} {line.spearman:+.3f}</title>'
        f'<text x="{LABELS - 10}" y="{y + 4}">{escape(name)}</text>{bar}{mark}</g>'
    )
