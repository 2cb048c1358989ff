"""Plots of results: scatter, summary over proxies, search curve, Pareto front.

Every function returns a matplotlib figure that belongs to no global state; `save` writes it as SVG
and PNG whose bytes depend on the numbers alone. Colours are those of Okabe and Ito, told apart by
colour-blind readers, and always doubled by a marker or a line style.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from autodas_dsl.evaluation.agreement import Agreement, agreement
from autodas_dsl.language.files import write_atomic
from autodas_dsl.language.visible import visible
from autodas_dsl.report.pictures import Curve, Picture, Point

if TYPE_CHECKING:
    from autodas_dsl.training.loop import Epoch

BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"
VERMILION, PURPLE, SKY = "#D55E00", "#CC79A7", "#56B4E9"
GREY = "#666666"
BASELINES = ("params", "flops")

_LINES = tuple(zip((BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY), "osD^vP", strict=True))
_DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e0e0e0",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "svg.hashsalt": "autodas-dsl",
    "svg.fonttype": "none",
    "savefig.dpi": 150.0,
}


Arguments = ParamSpec("Arguments")


class Drawing(Figure):
    """A figure that a notebook shows though pyplot is not used."""

    def _repr_png_(self) -> bytes:
        return png_bytes(self)


def _styled(plot: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Draw in the house style, and lay out once: every file of a figure shows the same."""

    @wraps(plot)
    def styled(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Figure:
        with mpl.rc_context(_STYLE):
            figure = plot(*args, **kwargs)
            layout = figure.get_layout_engine()
            if layout is not None:
                layout.execute(figure)
            figure.set_layout_engine("none")
        return figure

    return styled


@_styled
def scatter(
    scores: npt.ArrayLike,
    accuracies: npt.ArrayLike,
    *,
    proxy: str,
    target: str,
) -> Figure:
    """Accuracy against the score of one proxy, correlations and n in the title.

    Networks without a valid score stand in a strip of their own at the left. Positive scores that
    span more than three decades get a logarithmic axis.
    """
    x = np.asarray(scores, dtype=np.float64)
    y = np.asarray(accuracies, dtype=np.float64)
    found = agreement(x, y)
    valid = np.isfinite(x)
    figure, axes = _figure(5.2, 4.2)
    axes.scatter(x[valid], y[valid], s=22, color=BLUE, alpha=0.75, linewidths=0)
    positive = valid.any() and x[valid].min() > 0
    if positive and x[valid].max() > 1e3 * x[valid].min():
        axes.set_xscale("log")
    outer = axes if valid.all() else _invalid_strip(figure, axes, y[~valid])
    axes.set_xlabel("score")
    outer.set_ylabel(f"{_short(target)} accuracy")
    figure.suptitle(_title(proxy, found), fontsize=10)
    return figure


@_styled
def summary(proxies: Mapping[str, Agreement], *, target: str, n: int, split: str = "") -> Figure:
    """Spearman correlation of every proxy with its 95 % interval, sorted, baselines marked."""

    def ascending(proxy: str) -> tuple[bool, float, str]:
        rho = proxies[proxy].spearman
        return rho is not None, rho or 0.0, proxy

    drawn = sorted(proxies, key=ascending)
    names = [_short(proxy) for proxy in drawn]
    width = 5.2 + 0.085 * max(map(len, names), default=0)
    figure, axes = _figure(width, 1.3 + 0.28 * max(3, len(drawn)))
    axes.axvline(0, color=GREY, linewidth=0.8)
    for place, proxy in enumerate(drawn):
        _bar(axes, place, proxy, proxies[proxy])
    axes.set_yticks(range(len(drawn)), names)
    for tick, proxy in zip(axes.get_yticklabels(), drawn, strict=True):
        tick.set_fontweight("bold" if proxy in BASELINES else "normal")
    axes.set_ylim(-0.6, len(drawn) - 0.4)
    axes.set_xlabel(f"Spearman correlation with {_short(target)}")
    where = f", {split}" if split else ""
    axes.set_title(f"{len(proxies)} proxies, n = {n}{_short(where)}", fontsize=10)
    handles = [
        Line2D([], [], color=BLUE, marker="o", label="proxy, 95 % bootstrap interval"),
        Line2D([], [], color=VERMILION, marker="D", label="size baseline"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=8)
    return figure


@_styled
def scores(found: Mapping[str, Mapping[str, float]]) -> Figure:
    """Scores of networks, a panel for each formula, the highest above; NaN where invalid."""
    models = list(dict.fromkeys(model for one in found.values() for model in one))
    figure = Drawing(
        figsize=(6.4, 0.7 + len(found) * (0.5 + 0.26 * len(models))), layout="constrained"
    )
    FigureCanvasAgg(figure)
    for axes, (proxy, one) in zip(figure.subplots(len(found), squeeze=False)[:, 0], found.items(),
                                  strict=True):  # fmt: skip
        drawn = sorted(one, key=lambda model: (math.isfinite(one[model]), one[model]))
        axes.plot([one[model] for model in drawn], range(len(drawn)), "o", color=BLUE)
        for place, model in enumerate(drawn):
            if not math.isfinite(one[model]):
                axes.annotate("invalid", (0.01, place), xycoords=("axes fraction", "data"),
                              va="center", fontsize=8, color=GREY)  # fmt: skip
        axes.set_yticks(range(len(drawn)), [_short(model, 40) for model in drawn])
        axes.set_ylim(-0.6, len(drawn) - 0.4)
        axes.set_title(_short(proxy), fontsize=10)
    return figure


@_styled
def sizes(
    students: Sequence[tuple[str, int, float]], largest: tuple[str, int, float], *, title: str
) -> Figure:
    """Score against parameters: students by name, and the largest network beside them."""
    figure, axes = _figure(6.4, 4.2)
    marks = [(one, BLUE, "o") for one in students] + [(largest, VERMILION, "D")]
    for (name, params, score), colour, marker in marks:
        axes.plot([params], [score], color=colour, marker=marker, linestyle="")
        axes.annotate(_short(name, 40), (params, score), xytext=(0, 5), ha="center", fontsize=8,
                      textcoords="offset points", color=colour)  # fmt: skip
    axes.margins(x=0.25, y=0.15)
    axes.set_xlabel("parameters")
    axes.set_ylabel("score")
    axes.set_title(_short(title), fontsize=10)
    return figure


@_styled
def search_curve(curves: Sequence[Curve], *, title: str, null_level: float | None = None) -> Figure:
    """Best |tau| against evaluations for several strategies, mean and range over runs.

    Solid lines are the selection architectures, dashed ones the held-out architectures; the dotted
    line is what the search finds on shuffled accuracies.
    """
    figure, axes = _figure(6.4, 4.2)
    for curve, (colour, marker) in zip(curves, cycle(_LINES), strict=False):
        _draw_curve(axes, curve, colour, marker)
    if null_level is not None:
        axes.axhline(null_level, color=GREY, linestyle=":", linewidth=1.4)
        axes.annotate(
            "best on shuffled accuracies",
            (1.0, null_level),
            xycoords=("axes fraction", "data"),
            xytext=(-4, 4),
            textcoords="offset points",
            ha="right",
            color=GREY,
            fontsize=8,
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("formulas evaluated")
    axes.set_ylabel("Kendall |τ| of the best formula")
    axes.set_title(_short(title), fontsize=10)
    _legend(figure, axes)
    return figure


@_styled
def learning_curve(log: Sequence[Epoch], *, title: str) -> Figure:
    """Loss, and accuracy in training and on the validation part, at each epoch of a run."""
    figure, axes = _figure(6.4, 4.2)
    steps = [line.step for line in log]
    axes.plot(steps, [line.loss for line in log], color=GREY, linestyle=":", label="loss")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    other = axes.twinx()
    other.set_ylabel("accuracy")
    other.set_ylim(0, 1)
    other.grid(visible=False)
    for name, colour, marker in (("train", BLUE, "o"), ("validation", VERMILION, "s")):
        values = [getattr(line, f"{name}_accuracy") for line in log]
        if None not in values:
            other.plot(steps, values, color=colour, marker=marker, markersize=3, label=name)
    axes.set_title(_short(title), fontsize=10)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    return figure


@_styled
def pareto(
    evaluated: Sequence[Point],
    front: Sequence[Point],
    *,
    title: str,
    baselines: Mapping[str, float],
) -> Figure:
    """Kendall |tau| against complexity on the selection architectures.

    The best formula of each complexity, the front as steps with its formulas numbered and listed,
    baselines as lines with their names at the end.
    """
    steps = sorted(front, key=lambda p: p.complexity)
    named = [point for point in steps if point.label]
    figure, axes = _figure(6.4, 4.2 + 0.17 * len(named))
    if evaluated:
        axes.scatter(
            [p.complexity for p in evaluated],
            [p.tau for p in evaluated],
            s=14,
            color=GREY,
            alpha=0.6,
            linewidths=0,
            label="best formula of its complexity",
        )
    axes.step(
        [p.complexity for p in steps],
        [p.tau for p in steps],
        where="post",
        color=BLUE,
        marker="o",
        markersize=5,
        label="Pareto front: better than every simpler one",
    )
    for number, point in enumerate(named, 1):
        axes.annotate(
            str(number),
            (point.complexity, point.tau),
            xytext=(0, 5),
            textcoords="offset points",
            ha="center",
            color=BLUE,
            fontsize=8,
            fontweight="bold",
        )
    axes.margins(y=0.08)
    _name_baselines(axes, baselines)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("complexity (nodes)")
    axes.set_ylabel("Kendall |τ|, selection architectures")
    axes.set_title(_short(title), fontsize=10)
    handles, labels = axes.get_legend_handles_labels()
    handles += [
        Line2D([], [], linestyle="", color=BLUE, marker=f"${number}$", markersize=5)
        for number in range(1, len(named) + 1)
    ]
    labels += [_short(point.label, 76) for point in named]
    figure.legend(handles, labels, loc="outside lower left", fontsize=8)
    return figure


def _name_baselines(axes: Axes, baselines: Mapping[str, float]) -> None:
    """A line for each baseline, and a stroke from its right end to its name."""
    for tau, dash in zip(baselines.values(), cycle(_DASHES[1:]), strict=False):
        axes.axhline(tau, color=VERMILION, linestyle=dash, linewidth=1.2)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)
    known = sorted(baselines.items(), key=lambda item: item[1])
    places = _apart([tau for _, tau in known], 0.05 * (high - low))
    for (name, tau), place in zip(known, places, strict=True):
        axes.annotate(
            _short(name, 24),
            (1.0, tau),
            xycoords=("axes fraction", "data"),
            xytext=(1.05, place),
            textcoords=("axes fraction", "data"),
            va="center",
            color=VERMILION,
            fontsize=8,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": VERMILION, "linewidth": 0.7, "shrinkB": 0},
        )


def _apart(values: Sequence[float], room: float) -> list[float]:
    """Places near increasing values, at least `room` from each other."""
    groups: list[list[float]] = []
    for value in values:
        group = [value]
        while groups and _span(group, room)[0] - _span(groups[-1], room)[1] < room:
            group = groups.pop() + group
        groups.append(group)
    return [
        _span(group, room)[0] + number * room for group in groups for number in range(len(group))
    ]


def _span(group: Sequence[float], room: float) -> tuple[float, float]:
    """Where the lowest and the highest of a group stand, around its mean."""
    middle, half = sum(group) / len(group), (len(group) - 1) / 2 * room
    return middle - half, middle + half


def drawn(picture: Picture) -> Figure:
    """The figure of a picture."""
    plot: Callable[..., Figure] = globals()[picture.plot]
    return plot(**picture.given)


def save(figure: Figure, stem: Path) -> tuple[Path, Path]:
    """Write STEM.svg and STEM.png, atomically; the same figure gives the same bytes.

    Raises
    ------
    InputError
        The folder cannot be written.
    """
    svg, png = stem.with_name(stem.name + ".svg"), stem.with_name(stem.name + ".png")
    write_atomic(svg, svg_bytes(figure))
    write_atomic(png, png_bytes(figure))
    return svg, png


def svg_bytes(figure: Figure) -> bytes:
    """The figure as SVG text with text kept as text, without a date."""
    out = io.BytesIO()
    with mpl.rc_context(_STYLE):
        FigureCanvasSVG(figure).print_svg(out, metadata={"Date": None})
    return out.getvalue()


def png_bytes(figure: Figure) -> bytes:
    """The figure as PNG at 150 dpi."""
    out = io.BytesIO()
    with mpl.rc_context(_STYLE):
        FigureCanvasAgg(figure)
        figure.savefig(out, format="png", dpi=_STYLE["savefig.dpi"], metadata={"Software": None})
    return out.getvalue()


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Drawing(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _legend(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(
            handles, labels, loc="outside lower center", ncols=3, fontsize=8, markerscale=1.3
        )


def _title(proxy: str, found: Agreement) -> str:
    count = f"n = {found.n}" + (f", {found.invalid} invalid" if found.invalid else "")
    if found.kendall is None or found.spearman is None:
        return f"{_short(proxy)}: correlation undefined\n{found.reason} ({count})"
    numbers = f"Kendall τ = {found.kendall:.3f}, Spearman ρ = {found.spearman:.3f}"
    return f"{_short(proxy)}\n{numbers}, {count}"


def _short(text: str, width: int = 62) -> str:
    """Text of a user's, cut to a width and taken literally: a dollar sign opens no formula."""
    text = visible(text)
    cut = text if len(text) <= width else text[: width - 1] + "…"
    return cut.replace("$", r"\$")


def _invalid_strip(figure: Figure, axes: Axes, accuracies: npt.NDArray[np.float64]) -> Axes:
    """Networks without a valid score, in a strip of their own left of the plot."""
    grid = figure.add_gridspec(1, 2, width_ratios=(1, 14))
    axes.set_subplotspec(grid[0, 1])
    strip = figure.add_subplot(grid[0, 0], sharey=axes)
    strip.scatter(
        np.zeros(len(accuracies)),
        accuracies,
        s=26,
        color=VERMILION,
        marker="x",
        linewidths=1.2,
    )
    strip.set_facecolor("#f3f3f3")
    strip.set_xlim(-1, 1)
    strip.set_xticks([0], ["invalid"])
    strip.grid(visible=False, axis="x")
    axes.tick_params(labelleft=False)
    return strip


def _bar(axes: Axes, place: int, proxy: str, found: Agreement) -> None:
    if found.spearman is None:
        why = _short(found.reason or "undefined")
        axes.text(0.01, place, why, va="center", fontsize=8, color=GREY)
        return
    colour, marker = (VERMILION, "D") if proxy in BASELINES else (BLUE, "o")
    spread = found.intervals.get("spearman")
    if spread is not None:
        axes.plot([spread.low, spread.high], [place, place], color=colour, linewidth=1.6, alpha=0.7)
    axes.plot([found.spearman], [place], color=colour, marker=marker, markersize=5)


def _draw_curve(axes: Axes, curve: Curve, colour: str, marker: str) -> None:
    mean = curve.best.mean(axis=0)
    every = max(1, len(mean) // 8)
    axes.plot(
        curve.evaluations,
        mean,
        color=colour,
        linewidth=1.8,
        marker=marker,
        markevery=every,
        markersize=5,
        label=f"{_short(curve.strategy)}, selection",
    )
    if len(curve.best) > 1:
        axes.fill_between(
            curve.evaluations,
            curve.best.min(axis=0),
            curve.best.max(axis=0),
            color=colour,
            alpha=0.15,
            linewidth=0,
        )
    if curve.held_out is not None:
        axes.plot(
            curve.evaluations,
            curve.held_out.mean(axis=0),
            color=colour,
            linewidth=1.0,
            linestyle="--",
            marker=marker,
            markevery=every,
            markersize=4,
            markerfacecolor="white",
            label=f"{_short(curve.strategy)}, held out",
        )
