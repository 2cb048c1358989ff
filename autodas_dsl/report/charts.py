"""Charts as inline SVG, our own: Matplotlib's has inline styles, which the page's policy forbids.

They are small enough for a phone and coloured by the page's style sheet. Marks differ in shape as
well as in colour, and every mark says in its title what it is, which Matplotlib's cannot.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from autodas_dsl.evolution.run_records import Generation
from autodas_dsl.report.html import Markup, tag

WIDTH, HEIGHT = 400, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 388, 14, 234
_SPAN_FOR_LOG = 1e3
_TICKS = 5
_LARGEST = sys.float_info.max


@dataclass(frozen=True, slots=True)
class Point:
    """A mark of a chart.

    Attributes
    ----------
    x, y : float
        `x` may be NaN in a scatter plot: no valid score.
    group : str
        A key of `GROUPS`.
    label : str
        What it is.
    """

    x: float
    y: float
    group: str
    label: str


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to places: linear or logarithmic, with round ticks."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False
    whole: bool = False

    def __call__(self, value: float) -> float:
        low, high, value = (
            (math.log10(v) for v in (self.low, self.high, value))
            if self.log
            else (self.low, self.high, value)
        )
        # halved first: the difference of two huge values need not be finite
        share = (value / 2 - low / 2) / (high / 2 - low / 2)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round values within the scale, about five."""
        if self.log:
            low, high = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            stride = max(1, math.ceil((high - low + 1) / _TICKS))
            return [10.0**power for power in range(low, high + 1, stride)]
        step = _round_step(self.high / _TICKS - self.low / _TICKS)
        step = max(1.0, step) if self.whole else step
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


def _round_step(rough: float) -> float:
    """The round number 1, 2 or 5 times a power of ten at or above `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(f * power for f in (1.0, 2.0, 5.0, 10.0) if f * power >= rough * (1 - 1e-9))


def scale(values: Sequence[float], start: float, end: float, *, whole: bool = False) -> Scale:
    """A scale around values: logarithmic for positive ones over more than three decades.

    Parameters
    ----------
    values : sequence of float
        Finite; at least one.
    whole : bool
        Values are counts: the scale steps by whole numbers and is never logarithmic.
    """
    low, high = min(values), max(values)
    if not whole and low > 0 and high > _SPAN_FOR_LOG * low:
        return Scale(low / 1.3, high * 1.3, start, end, log=True)
    margin = max(0.1 * (high / 2 - low / 2), 1e-9 * max(abs(low), abs(high)), 1e-300)
    if high == low:
        margin = max(0.5, abs(low) * 0.1)
    low, high = max(low - margin, -_LARGEST), min(high + margin, _LARGEST)
    return Scale(low, high, start, end, whole=whole)


# --- marks ------------------------------------------------------------------------------------

GROUPS = {
    "selection": "selection",
    "held-out": "held out",
    "step": "a better formula",
    "hall": "hall of fame, selection",
    "held": "hall of fame, held out",
    "invalid": "no valid score",
}


def _mark(group: str, x: float, y: float, label: str = "") -> Markup:
    title = tag("title", label) if label else None
    if group in ("held-out", "held"):
        path = f"M{x:.1f} {y - 4.4:.1f}l4.4 4.4l-4.4 4.4l-4.4 -4.4z"
        return tag("path", title, class_=f"mark {group}", d=path)
    if group == "invalid":
        path = f"M{x - 3:.1f} {y - 3:.1f}l6 6m-6 0l6 -6"
        return tag("path", title, class_=f"mark {group}", d=path)
    return tag("circle", title, class_=f"mark {group}", cx=f"{x:.1f}", cy=f"{y:.1f}", r=3.4)


def legend(groups: Sequence[str], lines: Sequence[tuple[str, str]] = ()) -> Markup:
    """What the marks and lines of a chart mean, for its caption."""
    keys = [(_mark(group, 8, 7), GROUPS[group]) for group in groups]
    keys += [(tag("path", class_=f"line {name}", d="M0 7H16"), text) for name, text in lines]
    return tag(
        "ul",
        *(
            tag(
                "li",
                tag("svg", icon, viewBox="0 0 16 14", width=16, height=14, aria_hidden="true"),
                tag("span", text),
            )
            for icon, text in keys
        ),
        class_="legend",
    )


# --- charts -----------------------------------------------------------------------------------


def search_curve(steps: Sequence[Generation], name: str, null: float | None = None) -> Markup:
    """Best tau so far against formulas evaluated.

    Parameters
    ----------
    steps : sequence of Generation
        At least one.
    name : str
        Of the element, unique in the page.
    null : float, optional
        What the same search finds in nothing, drawn as a line.
    """
    x = scale([0.0, *(float(s.evaluations) for s in steps)], _LEFT, _RIGHT, whole=True)
    x = Scale(0.0, x.high, _LEFT, _RIGHT, whole=True)
    y = scale([*(s.tau for s in steps), *_given(null)], _BOTTOM, _TOP)
    path = f"M{x(steps[0].evaluations):.1f} {y(steps[0].tau):.1f}"
    for step in steps[1:]:
        path += f"H{x(step.evaluations):.1f}V{y(step.tau):.1f}"
    path += f"H{_RIGHT}" if len(steps) == 1 else ""
    marks = [
        _mark(
            "step",
            x(new.evaluations),
            y(new.tau),
            f"generation {new.generation}: τ = {new.tau:.4f}, {new.complexity} nodes, "
            f"after {new.evaluations} formulas",
        )
        for old, new in zip([None, *steps], steps, strict=False)
        if old is None or new.tau != old.tau
    ]
    last = steps[-1]
    text = (
        f"Best Kendall tau on the selection architectures rises from {steps[0].tau:.3f} to "
        f"{last.tau:.3f} over {last.evaluations} formulas."
    )
    body = [*_null_line(null, y), tag("path", class_="line curve", d=path), *marks]
    return _chart(name, "Search curve", text, x, y, "formulas evaluated", "best Kendall τ", body)


def pareto(
    points: Sequence[Point], front: Sequence[Point], name: str, null: float | None = None
) -> Markup:
    """Tau against complexity: the hall of fame as marks, the front as steps."""
    x = scale([p.x for p in points], _LEFT, _RIGHT, whole=True)
    y = scale([*(p.y for p in points), *_given(null)], _BOTTOM, _TOP)
    body = _null_line(null, y)
    if front:
        path = f"M{x(front[0].x):.1f} {y(front[0].y):.1f}"
        path += "".join(f"H{x(p.x):.1f}V{y(p.y):.1f}" for p in front[1:])
        body.append(tag("path", class_="line front", d=f"{path}H{_RIGHT}"))
    body += [_mark(p.group, x(p.x), y(p.y), p.label) for p in points]
    best = max(front, key=lambda p: p.y, default=None)
    text = f"{len(front)} of {len(points)} formulas are on the front"
    text += f", the best with τ = {best.y:.3f} at {best.x:g} nodes." if best else "."
    return _chart(name, "Pareto front", text, x, y, "complexity (nodes)", "Kendall τ", body)


def _given(null: float | None) -> list[float]:
    return [] if null is None else [null]


def _null_line(null: float | None, y: Scale) -> list[Markup]:
    return [
        tag("path", class_="line null", d=f"M{_LEFT} {y(v):.1f}H{_RIGHT}") for v in _given(null)
    ]


def scatter(points: Sequence[Point], title: str, target: str, name: str) -> Markup:
    """Accuracy against the score of one formula; networks without a score at the left edge."""
    valid = [p for p in points if math.isfinite(p.x)]
    x = scale([p.x for p in valid] or [0.0], _LEFT + 12, _RIGHT)
    y = scale([p.y for p in points], _BOTTOM, _TOP)
    body = [
        _mark(p.group, x(p.x), y(p.y), p.label)
        if math.isfinite(p.x)
        else _mark("invalid", _LEFT + 5, y(p.y), p.label)
        for p in points
    ]
    text = f"{len(points)} architectures, {len(points) - len(valid)} without a valid score."
    label = "score, logarithmic" if x.log else "score"
    return _chart(name, title, text, x, y, label, f"accuracy ({target})", body)


def _chart(
    name: str, title: str, text: str, x: Scale, y: Scale, x_label: str, y_label: str,
    body: Sequence[Markup],
) -> Markup:  # fmt: skip
    middle = (_TOP + _BOTTOM) / 2
    return tag(
        "svg",
        tag("title", title, id=f"{name}-title"),
        tag("desc", text, id=f"{name}-text"),
        _axes(x, y),
        tag("text", x_label, class_="axis", x=(_LEFT + _RIGHT) / 2, y=HEIGHT - 8,
            text_anchor="middle"),
        tag("text", y_label, class_="axis", x=12, y=middle, text_anchor="middle",
            transform=f"rotate(-90 12 {middle:g})"),
        tag("g", *body),
        class_="chart", viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img",
        aria_labelledby=f"{name}-title {name}-text",
    )  # fmt: skip


def _axes(x: Scale, y: Scale) -> Markup:
    parts = [tag("path", class_="frame", d=f"M{_LEFT} {_TOP}V{_BOTTOM}H{_RIGHT}")]
    for value in y.ticks():
        at = y(value)
        parts.append(tag("path", class_="grid", d=f"M{_LEFT} {at:.1f}H{_RIGHT}"))
        parts.append(tag("text", number(value), x=_LEFT - 6, y=f"{at + 4:.1f}", text_anchor="end"))
    for value in x.ticks():
        at = x(value)
        parts.append(tag("path", class_="grid", d=f"M{at:.1f} {_TOP}V{_BOTTOM}"))
        parts.append(
            tag("text", number(value), x=f"{at:.1f}", y=_BOTTOM + 17, text_anchor="middle")
        )
    return tag("g", *parts, class_="axes")


def number(value: float) -> str:
    """A tick: at most five significant digits, a true minus, powers of ten for the extremes."""
    text = f"{value:.5g}" if abs(value) > 1e-300 else "0"
    mantissa, mark, exponent = text.partition("e")
    if mark:
        power = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        text = f"10{power}" if mantissa == "1" else f"{mantissa}·10{power}"
    return text.replace("-", "−")
