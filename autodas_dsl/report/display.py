"""How results of Python calls look: rows and columns, a table in HTML, a figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import singledispatch

from matplotlib.figure import Figure

from autodas_dsl.evaluation.rank import Ranking
from autodas_dsl.evolution.run import Run
from autodas_dsl.language.shown import Shown
from autodas_dsl.printing.mathml import mathml
from autodas_dsl.report import plots
from autodas_dsl.report.html import Markup, tag
from autodas_dsl.report.run_plots import curve
from autodas_dsl.report.terminal import Column, Row, cell, for_people, is_number
from autodas_dsl.scoring.score import Result
from autodas_dsl.students.find import Students


@dataclass(frozen=True)
class Sheet:
    """A result as a table.

    Parameters
    ----------
    rows : list of mapping
        Everything that is known, a row each.
    columns : list of Column
        What people see of it.
    head : Markup, optional
        What stands above the table.
    notes : tuple of str
        What stands below it.
    """

    rows: list[Row]
    columns: list[Column]
    head: Markup | None = None
    notes: tuple[str, ...] = ()


def html(result: Shown) -> str:
    """A result as a piece of HTML without style of its own."""
    table = sheet(result)
    shown = [column for column in table.columns if any(row.get(column.key) not in (None, "")
             for row in table.rows)]  # fmt: skip
    heads = tag("tr", *(tag("th", column.heading) for column in shown))
    lines = (tag("tr", *(_cell(row, column) for column in shown)) for row in table.rows)
    notes = [tag("p", note) for note in table.notes]
    return tag("div", table.head, tag("table", tag("thead", heads), tag("tbody", *lines)), *notes)


def _cell(row: Row, column: Column) -> Markup:
    side = "right" if is_number(row.get(column.key)) else "left"
    return tag("td", cell(row, column), style=f"text-align: {side}")


# --- rows and columns ---------------------------------------------------------------------------


@singledispatch
def sheet(result: Shown) -> Sheet:
    """The table of a result."""
    raise TypeError(f"{type(result).__name__} is no result that can be shown")


@sheet.register
def _scores(result: Result) -> Sheet:
    columns = [Column("rank"), Column("model"), Column("proxy"), Column("score"), Column("std"),
               Column("reason")]  # fmt: skip
    rows = [{**asdict(one), "score": for_people(one.score, one.proxy)} for one in result.scores]
    unscored = tuple(f"not scored: {name}: {why}" for name, why in result.unscored.items())
    return Sheet(list(rows), columns, notes=(*result.notes, *unscored))


@sheet.register
def _ranking(result: Ranking) -> Sheet:
    whole = [result, *([result.reachable] if result.reachable else [])]
    rows: list[Row] = [row.row() for one in whole for row in one.rows]
    unranked = tuple(f"not ranked: {name}: {why}" for name, why in result.unranked.items())
    columns = ranking_columns(result)
    if len(whole) > 1:
        columns.insert(1, Column("networks"))
    return Sheet(rows, columns, notes=(*result.notes, *unranked))


@sheet.register
def _run(result: Run) -> Sheet:
    rows: list[Row] = []
    for place, held in enumerate(result.champion.held_out):
        others = {name: found[place] for name, found in result.baselines.items() if found}
        for name, one in {"best": held, **others}.items():
            rows.append({"proxy": name, "table": one.task, **one.agreement.row()})
    correlations = [
        Column(key, digits=3, signed=True) for key in ("kendall", "spearman", "pearson")
    ]
    columns = [Column("proxy"), Column("table"), Column("n"), Column("invalid"), *correlations,
               Column("reason")]  # fmt: skip
    notes = ["architectures that the search did not select on"]
    if result.null is not None:
        notes.append(f"Kendall {result.champion.individual.tau:+.3f} where it was selected; "
                     f"null level {result.null.mean:+.3f}")  # fmt: skip
    return Sheet(rows, columns, Markup(mathml(result.best)), tuple(notes))


@sheet.register
def _students(result: Students) -> Sheet:
    rows: list[Row] = [{"role": "student", **asdict(one)} for one in result.best]
    rows.append({"role": "largest", **asdict(result.largest)})
    keys = ("role", "rank", "architecture", "score", "params", "flops", "reason")
    return Sheet(rows, [Column(key) for key in keys], notes=result.notes)


def ranking_columns(ranking: Ranking) -> list[Column]:
    """What people see of a ranking; columns that would be empty are left out."""

    def correlation(key: str, title: str = "") -> Column:
        return Column(key, title, digits=3, signed=True)

    found = [
        Column("proxy"),
        Column("n"),
        *[Column(key) for key in ("invalid", "ties") if any(getattr(r, key) for r in ranking.rows)],
        *[correlation(key) for key in ("kendall", "spearman")],
        correlation("spearman_low", "95 % from"),
        correlation("spearman_high", "to"),
        correlation("pearson"),
        correlation("beyond_size"),
        Column("regret_1", "regret@1", digits=4),
        Column("regret_3", "regret@3", digits=4),
        *[
            Column(key, title, digits=3)
            for key, title in (("ndcg_10", "nDCG@10"), ("top_10", "top-10"))
            if any(getattr(row, key) is not None for row in ranking.rows)
        ],
    ]
    if any(row.seeds > 1 for row in ranking.rows):
        found.append(Column("spearman_std", "spearman std", digits=3))
    if any(row.reason for row in ranking.rows):
        found.append(Column("reason"))
    return found


# --- figures ------------------------------------------------------------------------------------


@singledispatch
def figure(result: Shown) -> Figure:
    """The figure of a result."""
    raise TypeError(f"{type(result).__name__} is no result that can be drawn")


@figure.register
def _draw_scores(result: Result) -> Figure:
    found: dict[str, dict[str, float]] = {}
    for one in result.scores:
        found.setdefault(one.proxy, {})[one.model] = one.score if one.valid else math.nan
    return plots.scores(found)


@figure.register
def _draw_ranking(result: Ranking) -> Figure:
    found = {row.proxy: row for row in result.rows}
    split = result.rows[0].split
    return plots.summary(found, target="accuracy", n=len(result), split=split)


@figure.register
def _draw_run(result: Run) -> Figure:
    tables = " + ".join(one.task for one in result.champion.selection)
    return plots.drawn(curve(result.steps, tables, result.null.mean if result.null else None))


@figure.register
def _draw_students(result: Students) -> Figure:
    shown: Sequence[tuple[str, int, float]] = [
        (one.architecture, one.params, one.score) for one in result.best
    ]
    largest = result.largest
    return plots.sizes(
        shown, ("largest", largest.params, largest.score), title=f"{result.space}, {result.proxy}"
    )
