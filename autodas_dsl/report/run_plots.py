"""The plots of a search: how it went, what it found, and how the best formula ranks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from autodas_dsl.evolution.finished import Run
from autodas_dsl.evolution.measure import SPEARMAN, TableScores
from autodas_dsl.evolution.run_records import BEST, Generation
from autodas_dsl.language.files import plain_name
from autodas_dsl.language.format import format_expression
from autodas_dsl.report.pictures import Curve, Picture, Point


def pictures(run: Run, tables: Sequence[TableScores]) -> list[Picture]:
    """All plots of a search."""
    title = " + ".join(f"{one.task}, {one.target}" for one in tables)
    found = [curve(run.steps, title, run.null.mean if run.null else None), _pareto(run, title)]
    for one in tables:
        suffix = f"_{plain_name(one.task)}" if len(tables) > 1 else ""
        found += [_scatter(run, one, suffix), _summary(one, suffix)]
    return found


def curve(steps: Sequence[Generation], title: str, null_level: float | None) -> Picture:
    """How the best tau on the selection rose."""
    evaluations = np.array([step.evaluations for step in steps], dtype=np.float64)
    best = np.array([[step.tau for step in steps]])
    curves = [Curve("selection", evaluations, best)]
    given = {"curves": curves, "title": title, "null_level": null_level}
    return Picture("search_curve", "search_curve", given)


def _pareto(run: Run, title: str) -> Picture:
    chosen = {format_expression(proxy.expression) for proxy in run.pareto}
    points = [Point(e.individual.complexity, e.individual.tau, e.formula) for e in run.entries]
    front = [point for point in points if point.label in chosen]
    baselines = {
        name: abs(found[0].agreement.kendall)
        for name, found in run.baselines.items()
        if found and found[0].agreement.kendall is not None
    }
    given = {"evaluated": points, "front": front, "title": title, "baselines": baselines}
    return Picture("pareto", "pareto", given)


def _scatter(run: Run, one: TableScores, suffix: str) -> Picture:
    held = one.held_out
    given = {
        "scores": one.scores[BEST][held], "accuracies": one.accuracies[held],
        "proxy": format_expression(run.best.expression), "target": f"{one.target}, held-out",
    }  # fmt: skip
    return Picture(f"scatter{suffix}", "scatter", given)


def _summary(one: TableScores, suffix: str) -> Picture:
    found = one.compared(True, (SPEARMAN,))
    n = int(one.held_out.sum())
    given = {"proxies": found, "target": one.target, "n": n, "split": "held-out"}
    return Picture(f"comparison{suffix}", "summary", given)
