"""What speaks for a formula: scores against accuracy, and what the scores depend on."""

from __future__ import annotations

import math
from collections.abc import Iterator

from autodas_dsl.evaluation.sensitivity import Sensitivity
from autodas_dsl.evolution.measure import TableScores
from autodas_dsl.evolution.run_folder import SCORES, SENSITIVITY, SavedRun
from autodas_dsl.report import charts
from autodas_dsl.report.charts import Point
from autodas_dsl.report.html import Content, Markup, join, tag
from autodas_dsl.report.parts import (
    HALVES,
    code,
    data_table,
    plain_table,
    section,
    shown,
)
from autodas_dsl.report.repetition import rank_commands
from autodas_dsl.report.terminal import COUNTS, score_text

_CHANGED = {
    "batch": "another batch", "noise images": "noise instead of images",
    "labels": "shuffled labels", "initial weights": "another initial seed",
    "teacher": "another teacher",
}  # fmt: skip


def scatters(run: SavedRun) -> Markup:
    """Accuracy against score, for the best formula and each baseline on every table."""
    if not run.scores:
        return section(
            "scores", "Scores against accuracy",
            tag("p", f"The run kept no scores of single architectures ({SCORES}).", class_="note"),
        )  # fmt: skip
    figures: list[Markup] = []
    for table in run.scores:
        for name in table.scores:
            figures.append(_scatter(run, name, table, len(figures)))
    return section(
        "scores", "Scores against accuracy",
        tag("p", "The best formula and the baselines, on the same architectures.", class_="lead"),
        tag("div", *figures, class_="charts"),
        data_table("Every architecture",
                   ["table", "half", "architecture", "accuracy", *run.scores[0].scores],
                   [row for table in run.scores for row in _score_rows(table)]),
    )  # fmt: skip


def _scatter(run: SavedRun, name: str, table: TableScores, number: int) -> Markup:
    points = [
        Point(score, accuracy, half,
              f"{architecture or HALVES[half]}: "
              f"score {score_text(score, name)}, accuracy {accuracy:.4g}")
        for score, accuracy, half, architecture in zip(
            table.scores[name].tolist(), table.accuracies.tolist(), table.halves,
            table.architectures, strict=True)
    ]  # fmt: skip
    groups = [g for g in HALVES if any(p.group == g and math.isfinite(p.x) for p in points)]
    groups += ["invalid"] if any(not math.isfinite(p.x) for p in points) else []
    facts = [one for one in run.found.measured.get(name, ()) if one.task == table.task]
    told = "; ".join(
        f"{HALVES.get(one.half, one.half)}: τ = {shown(one.agreement.kendall)}, "
        f"ρ = {shown(one.agreement.spearman)}"
        for one in facts
    )
    title = name if len(run.tables) == 1 else f"{name} on {table.task}"
    if not any(math.isfinite(point.x) for point in points):
        told = "It has no valid score on any of these architectures."
        return tag("figure", tag("h3", title), tag("p", told, class_="note"))
    return tag(
        "figure", tag("h3", title),
        charts.scatter(points, f"{title}: accuracy against score", table.target, f"scatter-{number}"),
        tag("figcaption", charts.legend(groups), told),
    )  # fmt: skip


def _score_rows(table: TableScores) -> Iterator[list[str]]:
    for place, half in enumerate(table.halves):
        values = [_score(float(found[place]), name) for name, found in table.scores.items()]
        yield [table.task, HALVES[half], table.architectures[place],
               f"{table.accuracies[place]:.5g}", *values]  # fmt: skip


def _score(value: float, name: str) -> str:
    if not math.isfinite(value):
        return "invalid"
    return score_text(value, name) if name in COUNTS else charts.number(value)


def sensitivity(run: SavedRun) -> Markup:
    """What the scores depend on."""
    if not run.sensitivity:
        return _unmeasured(run)
    changes = list(dict.fromkeys(one.changed for one in run.sensitivity))
    facts = {(one.proxy, one.changed): one for one in run.sensitivity}
    rows = [
        (name, *(_moved(facts.get((name, changed))) for changed in changes))
        for name in dict.fromkeys(one.proxy for one in run.sensitivity)
    ]
    return section(
        "sensitivity", "What the scores depend on",
        tag("p", "Every architecture scored again with one thing changed.", class_="lead"),
        tag("div", plain_table(
            "Spearman correlation of old and new scores, and below it the median relative change of "
            "a score. A score depends on what was changed from a change of one per cent on, or "
            "where the correlation is 0.99 or less.",
            ["formula", *(_CHANGED.get(changed, changed) for changed in changes)], rows),
            class_="scroll"),
    )  # fmt: skip


def _unmeasured(run: SavedRun) -> Markup:
    """The commands that measure it; the outcome of one table can be kept for the next report."""
    keep = ["--keep", str(run.folder.path)] if len(run.tables) == 1 else []
    then = "; then write the report again." if keep else "."
    told = f"Not measured for this run: it has no {SENSITIVITY}. This measures it{then}"
    lines = "\n".join(rank_commands(run, "--sensitivity", *keep))
    return section("sensitivity", "What the scores depend on",
                   tag("p", told, class_="note"), code(lines, "the command"))  # fmt: skip


def _moved(one: Sensitivity | None) -> Content:
    """How scores moved; a dash where there was no valid score to compare."""
    if one is None or one.change is None:
        return "–"
    change = f"{100 * one.change:.3g} %"
    told = f"depends, {change}" if one.depends else change
    return join(shown(one.agreement), tag("small", told, class_="yes" if one.depends else None))
