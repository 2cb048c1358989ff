"""The plots of a search: how it went, what it found, and how the best formula ranks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from autodas_dsl.evolution.finished import Run
from autodas_dsl.evolution.measure import SPEARMAN, TableScores
from autodas_dsl.evolution.run_folder import RunFolder
from autodas_dsl.evolution.run_records import BEST, Generation
from autodas_dsl.evolution.session import Session
from autodas_dsl.language.files import plain_name
from autodas_dsl.language.format import format_expression
from autodas_dsl.report.plots import Curve, Point, pareto, save, scatter, search_curve, summary


def draw(session: Session, folder: Path) -> tuple[Path, ...]:
    """Write all plots of a search into the folder of the run, as SVG and PNG.

    Raises
    ------
    InputError
        When the folder cannot be written.
    """
    shelf = RunFolder(folder).plots
    shelf.mkdir(exist_ok=True)
    run = session.run
    title = " + ".join(f"{one.task}, {one.target}" for one in session.scores)
    null = session.null.mean if session.null is not None else None
    written = [*save(curve(run.steps, title, null), shelf / "search_curve")]
    written += save(_pareto(run, title), shelf / "pareto")
    for one in session.scores:
        suffix = f"_{plain_name(one.task)}" if len(session.scores) > 1 else ""
        text = format_expression(run.best.expression)
        best = one.scores[BEST]
        held = one.held_out
        written += save(
            scatter(best[held], one.accuracies[held], proxy=text, target=f"{one.target}, held-out"),
            shelf / f"scatter{suffix}",
        )
        written += save(_summary(one), shelf / f"comparison{suffix}")
    return tuple(written)


def curve(steps: Sequence[Generation], title: str, null_level: float | None) -> Figure:
    """How the best tau on the selection rose."""
    evaluations = np.array([step.evaluations for step in steps], dtype=np.float64)
    best = np.array([[step.tau for step in steps]])
    return search_curve([Curve("selection", evaluations, best)], title=title, null_level=null_level)


def _pareto(run: Run, title: str) -> Figure:
    chosen = {format_expression(proxy.expression) for proxy in run.pareto}
    points = [Point(e.individual.complexity, e.individual.tau, e.formula) for e in run.entries]
    front = [point for point in points if point.label in chosen]
    baselines = {
        name: abs(found[0].agreement.kendall)
        for name, found in run.baselines.items()
        if found and found[0].agreement.kendall is not None
    }
    return pareto(points, front, title=title, baselines=baselines)


def _summary(one: TableScores) -> Figure:
    found = one.compared(True, (SPEARMAN,))
    n = int(one.held_out.sum())
    return summary(found, target=one.target, n=n, split="held-out")
