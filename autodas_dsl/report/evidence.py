"""What speaks for a formula: scores against accuracy, and what the scores depend on."""

from __future__ import annotations

import math
from collections.abc import Sequence

from autodas_dsl.report import charts
from autodas_dsl.report.charts import Point
from autodas_dsl.report.commands import rank_commands
from autodas_dsl.report.html import Content, Markup, tag
from autodas_dsl.report.parts import (
    HALVES,
    code,
    data_table,
    plain_table,
    section,
    shown,
)
from autodas_dsl.report.run_folder import SCORES, SENSITIVITY, Moved, RunFolder, Scored

_CHANGED = {
    "batch": "another batch", "noise images": "noise instead of images",
    "labels": "shuffled labels", "initial weights": "another initial seed",
    "teacher": "another teacher",
}  # fmt: skip


def scatters(run: RunFolder) -> Markup:
    """Accuracy against score, for the best formula and each baseline on every table."""
    if not run.scores:
        return section(
            "scores", "Scores against accuracy",
            tag("p", f"The run kept no scores of single architectures ({SCORES}).", class_="note"),
        )  # fmt: skip
    figures: list[Markup] = []
    for used in run.tables:
        rows = [one for one in run.scores if one.table == used.name]
        for name in rows[0].scores if rows else ():
            figures.append(_scatter(run, name, used.name, used.target, rows, len(figures)))
    return section(
        "scores", "Scores against accuracy",
        tag("p", "The best formula and the baselines, on the same architectures.", class_="lead"),
        tag("div", *figures, class_="charts"),
        data_table("Every architecture", _score_heads(run), [_score_row(one) for one in run.scores]),
    )  # fmt: skip


def _scatter(
    run: RunFolder, name: str, table: str, target: str, rows: Sequence[Scored], number: int
) -> Markup:
    points = [
        Point(one.scores[name], one.accuracy, one.half,
              f"{one.architecture or HALVES.get(one.half, one.half)}: "
              f"score {one.scores[name]:.6g}, accuracy {one.accuracy:.4g}")
        for one in rows
    ]  # fmt: skip
    groups = [g for g in HALVES if any(p.group == g and math.isfinite(p.x) for p in points)]
    groups += ["invalid"] if any(not math.isfinite(p.x) for p in points) else []
    facts = [one for one in run.reached.get(name, ()) if one.table == table]
    told = "; ".join(
        f"{HALVES.get(one.half, one.half)}: τ = {shown(one.kendall)}, ρ = {shown(one.spearman)}"
        for one in facts
    )
    title = name if len(run.tables) == 1 else f"{name} on {table}"
    if not any(math.isfinite(point.x) for point in points):
        told = "It has no valid score on any of these architectures."
        return tag("figure", tag("h3", title), tag("p", told, class_="note"))
    return tag(
        "figure", tag("h3", title),
        charts.scatter(points, f"{title}: accuracy against score", target, f"scatter-{number}"),
        tag("figcaption", charts.legend(groups), told),
    )  # fmt: skip


def _score_heads(run: RunFolder) -> list[str]:
    return ["table", "half", "architecture", "accuracy", *run.scores[0].scores]


def _score_row(one: Scored) -> list[str]:
    values = [charts.number(v) if math.isfinite(v) else "invalid" for v in one.scores.values()]
    return [one.table, HALVES.get(one.half, one.half), one.architecture,
            f"{one.accuracy:.5g}", *values]  # fmt: skip


def _verdict(one: Moved) -> Content:
    if one.depends:
        return tag("span", "depends", class_="yes")
    return "no valid score" if one.change is None else "does not move"


def sensitivity(run: RunFolder) -> Markup:
    """What the scores depend on."""
    if not run.sensitivity:
        return section(
            "sensitivity", "What the scores depend on",
            tag("p", f"Not measured for this run: it has no {SENSITIVITY}. This measures it; then write "
                "the report again.", class_="note"),
            code("\n".join(rank_commands(run, "--sensitivity", "--keep", str(run.path))), "the command"),
        )  # fmt: skip
    rows = [
        (one.proxy, _CHANGED.get(one.changed, one.changed), shown(one.agreement),
         "–" if one.change is None else f"{100 * one.change:.3g} %",
         _verdict(one))
        for one in run.sensitivity
    ]  # fmt: skip
    return section(
        "sensitivity", "What the scores depend on",
        tag("p", "Every architecture scored again with one thing changed.", class_="lead"),
        tag("div", plain_table(
            "Spearman correlation of old and new scores, and the median relative change of a "
            "score. Below one per cent a score counts as not depending.",
            ["formula", "changed", "ρ with the old scores", "relative change", "verdict"],
            rows, texts=2), class_="scroll"),
    )  # fmt: skip
