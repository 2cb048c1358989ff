"""Plots are drawn, say what they must, and have the same bytes every time."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from autodas_dsl.evaluation.agreement import Agreement
from autodas_dsl.evaluation.bootstrap import Interval
from autodas_dsl.language.errors import InputError
from autodas_dsl.report import plots
from autodas_dsl.report.pictures import Curve, Painter, Picture, Point


def a_scatter() -> Figure:
    y = np.arange(20.0)
    scores = y.copy()
    scores[:3] = np.nan
    return plots.scatter(scores, y, proxy="|W|_F", target="kd")


def a_summary() -> Figure:
    proxies = {
        name: Agreement(64, 0, 0, None, rho, None, reason, {"spearman": Interval(*ends, 1000)} if ends else {})
        for name, rho, ends, reason in (
            ("snip", 0.9, (0.8, 0.95), ""), ("params", 0.7, (0.5, 0.8), ""), ("kd", None, (), "why"),
        )
    }  # fmt: skip
    return plots.summary(proxies, target="kd", n=64, split="report half")


def a_search() -> Figure:
    steps = np.arange(1.0, 50)
    best = np.maximum.accumulate(np.random.default_rng(0).random((3, 49)), axis=1)
    curves = [Curve("aging", steps, best, best - 0.1), Curve("random", steps, best[:1])]
    return plots.search_curve(curves, title="a table", null_level=0.4)


def a_pareto() -> Figure:
    front = [Point(1, 0.5, "params"), Point(4, 0.7, "sum(|W|_F)")]
    return plots.pareto([Point(3, 0.2)], front, title="front", baselines={"params": 0.5})


FIGURES = [a_scatter, a_summary, a_search, a_pareto]


def texts(svg: bytes) -> str:
    root = ElementTree.fromstring(svg)
    return " ".join("".join(node.itertext()) for node in root.iter() if node.tag.endswith("text"))


def test_names_of_baselines_do_not_overlap() -> None:
    near = {"params": 0.5, "flops": 0.501, "snip": 0.499, "synflow": 0.2}
    figure = plots.pareto([Point(1, 0.1)], [Point(2, 0.9, "x")], title="", baselines=near)
    names = [found for found in figure.axes[0].texts if found.get_text() in near]
    # the extent of an annotation counts its stroke too
    boxes = sorted((Text.get_window_extent(name) for name in names), key=lambda box: box.y0)
    assert len(boxes) == 4
    assert all(low.y1 <= high.y0 for low, high in itertools.pairwise(boxes))
    assert all(box.x1 <= figure.bbox.x1 for box in boxes)


@pytest.mark.parametrize("draw", FIGURES)
def test_the_same_bytes_every_time(draw: Callable[[], Figure]) -> None:
    one, other = draw(), draw()
    png = plots.png_bytes(one)
    assert plots.svg_bytes(one) == plots.svg_bytes(other)
    assert plots.png_bytes(other) == png
    assert png.startswith(b"\x89PNG")
    assert b"<dc:date>" not in plots.svg_bytes(one)


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (a_scatter, ["|W|_F", "Kendall τ = 0.", "n = 20, 3 invalid", "invalid", "kd accuracy"]),
        (a_summary, ["snip", "params", "why", "n = 64, report half", "size baseline"]),
        (a_search, ["aging, held out", "random, selection", "best on shuffled", "a table"]),
        (
            a_pareto,
            [
                "complexity",
                "sum(|W|_F)",
                "Pareto front",
                "params",
                "selection architectures",
                "best formula of its complexity",
                " 1 ",
                " 2 ",
            ],
        ),
    ],
)
def test_what_a_plot_says(draw: Callable[[], Figure], words: list[str]) -> None:
    shown = texts(plots.svg_bytes(draw()))
    for word in words:
        assert word in shown


def test_every_network_is_inside_the_plot() -> None:
    """Also the invalid ones, above and below all valid ones."""
    y = np.array([-50.0, 1, 2, 3, 4, 5, 90])
    scores = np.array([np.nan, 1, 2, 3, 4, 5, np.inf])
    figure = plots.scatter(scores, y, proxy="p", target="kd")
    for axes in figure.axes:
        low, high = axes.get_ylim()
        assert low < -50
        assert high > 90


def test_wide_scores_get_a_logarithmic_axis() -> None:
    y = np.arange(10.0)
    wide = plots.scatter(np.exp(3 * y), y, proxy="p", target="kd")
    assert wide.axes[0].get_xscale() == "log"
    assert plots.scatter(y, y, proxy="p", target="kd").axes[0].get_xscale() == "linear"


@pytest.mark.parametrize("scores", [np.full(8, np.nan), np.ones(8), np.arange(8.0) * 1e300])
def test_degenerate_scores_are_drawn(scores: np.ndarray) -> None:
    figure = plots.scatter(scores, np.arange(8.0), proxy="p", target="kd")
    shown = texts(plots.svg_bytes(figure))
    assert ("undefined" in shown) == bool(np.isnan(scores[0]) or scores[0] == scores[1])


def test_empty_results_are_drawn() -> None:
    plots.png_bytes(plots.summary([], target="kd", n=0))
    plots.png_bytes(plots.pareto([], [], title="", baselines={}))
    plots.png_bytes(plots.search_curve([], title=""))


def test_text_of_the_user_is_literal() -> None:
    y = np.arange(8.0)
    figure = plots.scatter(y, y, proxy=r"$\frac{1}$", target="$x$")
    assert r"$\frac{1}$" in texts(plots.svg_bytes(figure))


def test_global_settings_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    before = dict(mpl.rcParams)
    plots.png_bytes(a_scatter())
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("unwanted", ["matplotlib.pyplot", "torch", "scipy.stats"])
def test_what_plots_do_not_import(unwanted: str) -> None:
    code = f"import sys, autodas_dsl.report.plots; sys.exit({unwanted!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_saved_as_svg_and_png(tmp_path: Path) -> None:
    svg, png = plots.save(a_scatter(), tmp_path / "snip.v2")
    assert (svg.name, png.name) == ("snip.v2.svg", "snip.v2.png")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["snip.v2.png", "snip.v2.svg"]
    with pytest.raises(InputError, match="E517"):
        plots.save(a_scatter(), tmp_path / "none" / "snip")


def test_drawn_by_another_process_with_the_same_bytes(tmp_path: Path) -> None:
    y = np.arange(20.0)
    given = {"scores": y, "accuracies": y, "proxy": "snip", "target": "kd"}
    with Painter() as painter:
        painter.paint([Picture("there", "scatter", given)], tmp_path / "plots")
        there = painter.painted()
    here = plots.save(plots.scatter(y, y, proxy="snip", target="kd"), tmp_path / "here")
    assert [path.name for path in there] == ["there.svg", "there.png"]
    assert [path.read_bytes() for path in there] == [path.read_bytes() for path in here]


def test_a_folder_that_another_process_cannot_draw_into(tmp_path: Path) -> None:
    given = {"curves": [], "title": "a table"}
    with Painter() as painter:
        painter.paint([Picture("no/such/folder", "search_curve", given)], tmp_path)
        with pytest.raises(InputError, match="E517"):
            painter.painted()


def test_a_process_that_ends_instead_of_drawing(tmp_path: Path) -> None:
    with Painter() as painter:
        painter._process.process.kill()
        painter._process.process.join()
        painter.paint([Picture("plot", "pareto", {})], tmp_path)
        with pytest.raises(InputError, match="E761"):
            painter.painted()
