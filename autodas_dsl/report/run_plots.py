"""The plots of a finished search, into its folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from autodas_dsl.compiler.lower import lower
from autodas_dsl.evolution.run import Run
from autodas_dsl.evolution.task import Task
from autodas_dsl.report.plots import Curve, Point, pareto, save, scatter, search_curve


def draw_run(run: Run, tasks: Sequence[Task], strategy: str, folder: Path) -> tuple[Path, ...]:
    """Draw the search, the front, and the best formula against the accuracies of each table.

    Each as SVG and PNG: ``search``, ``pareto``, and one ``best-TABLE`` per table, of the held-out
    architectures where there are some.

    Raises
    ------
    InputError
        The folder cannot be written.
    """
    steps = run.steps
    curve = Curve(
        strategy,
        np.array([step.evaluations for step in steps], dtype=np.float64),
        np.array([[step.tau for step in steps]]),
    )
    names = ", ".join(task.name for task in tasks)
    written = [*save(search_curve([curve], title=f"Search on {names}"), folder / "search")]
    written += save(_front(run, names), folder / "pareto")
    for task in tasks:
        networks = task.report or task.selection
        (outcome,) = networks.evaluate([lower(run.best)])
        half = "held out" if task.report else "selected on"
        figure = scatter(
            outcome.scores, networks.accuracies, proxy="best", target=f"{task.target} ({half})"
        )
        written += save(figure, folder / f"best-{task.name}")
    return tuple(written)


def _front(run: Run, names: str) -> Figure:
    points = [Point(e.individual.complexity, e.individual.tau) for e in run.entries]
    steps: list[Point] = []
    for point in sorted(points, key=lambda p: p.complexity):
        if not steps or point.tau > steps[-1].tau:
            steps.append(point)
    sizes = {
        name: abs(found[0].agreement.kendall)
        for name, found in run.baselines.items()
        if found and found[0].agreement.kendall is not None
    }
    return pareto(points, steps, title=f"Hall of fame on {names}", baselines=sizes)
