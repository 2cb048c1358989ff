"""What a search found: the best formula, the Pareto front, the way there."""

from __future__ import annotations

import math
from collections.abc import Iterator

from autodas_dsl.evaluation.agreement import Agreement
from autodas_dsl.evolution.measure import SELECTION, SPEARMAN
from autodas_dsl.evolution.run_folder import SavedRun
from autodas_dsl.evolution.run_records import BEST, Null
from autodas_dsl.language.proxy import format_formula
from autodas_dsl.printing.show import show
from autodas_dsl.report import charts
from autodas_dsl.report.charts import Point
from autodas_dsl.report.html import Markup, join, tag
from autodas_dsl.report.parts import (
    HALVES,
    code,
    data_table,
    formula_math,
    plain_table,
    section,
    shown,
)

HELD_OUT = "held_out_kendall"
"""The column of the hall of fame with tau on held-out architectures, where one table has them."""
STOPPED = {
    "iterations": "all iterations done", "time": "the time was up",
    "evaluations": "enough formulas evaluated", "patience": "no progress any more",
    "target": "the target was reached", "interrupt": "interrupted",
}  # fmt: skip


def best(run: SavedRun) -> Markup:
    """The best formula, what it reached, and the baselines beside it."""
    tiles = [("complexity", str(run.found.complexity), "nodes"),
             ("Kendall τ, selection", shown(run.found.tau), "what the search maximised")]  # fmt: skip
    if run.null is not None:
        tiles.append(("null level", shown(run.null.mean), _searches(run.null)))
    for one in run.found.measured[BEST]:
        if one.half != SELECTION:
            found = one.agreement
            where = f"{one.task}, n = {found.n}"
            tiles.append(("Kendall τ, held out", shown(found.kendall), where))
            between = interval(found)
            tiles.append(("Spearman ρ, held out", shown(found.spearman),
                          f"95 %: {between}" if between else where))  # fmt: skip
    return section(
        "best", "Best formula",
        _null_warning(run),
        tag("div", formula_math(run.best), class_="formula", tabindex=0, role="group",
            aria_label="The best formula"),
        code(format_formula(run.best), "the formula"),
        tag("dl", *(tag("div", tag("dt", head), tag("dd", value, tag("small", note)))
                    for head, value, note in tiles), class_="tiles"),
        tag("p", "Formulas were chosen on the selection architectures; the held-out ones were "
                 "looked at once, at the end. Below ρ its 95 % bootstrap interval.",
            class_="note"),
        *_sum(run),
        tag("div", *_reached_tables(run), class_="charts"),
        _graph(run),
    )  # fmt: skip


def _sum(run: SavedRun) -> Iterator[Markup]:
    """The best sum of formulas, where one is better than each alone."""
    if run.sum is None or run.found.sum is None:
        return
    told = f"Kendall τ of {shown(run.found.sum.tau)} on the selection"
    if run.null is not None and run.null.of_sums is not None:
        level = run.null.of_sums
        told += (f", where sums reach {shown(level.mean)} on shuffled accuracies "
                 f"(highest {shown(level.highest)})")  # fmt: skip
    yield tag("h3", "Best sum")
    yield tag("p", f"The best sum of formulas that the search looked at: {told}.", class_="note")
    yield tag("div", formula_math(run.sum), class_="formula", tabindex=0, role="group",
              aria_label="The best sum")  # fmt: skip
    yield code(format_formula(run.sum), "the sum")


def _searches(null: Null) -> str:
    """What the null level is the mean of."""
    if len(null.taus) == 1:
        return "the best τ of the same search on shuffled accuracies"
    return f"τ of {len(null.taus)} searches on shuffled accuracies, highest {shown(null.highest)}"


def _null_warning(run: SavedRun) -> Markup | None:
    if not run.options.get("null"):
        return None
    return tag(
        "p", tag("strong", "A null test. "), "The accuracies were shuffled before this search: "
        "what it found is what a search finds in nothing.", class_="warning",
    )  # fmt: skip


def interval(found: Agreement) -> str:
    """The interval of Spearman, or the empty text."""
    ends = found.intervals.get(SPEARMAN)
    return f"{shown(ends.low)} to {shown(ends.high)}" if ends else ""


def _reached_tables(run: SavedRun) -> Iterator[Markup]:
    """The best formula and the baselines on the same architectures, per table and half."""
    for used in run.tables:
        for half, title in HALVES.items():
            rows = [
                (name, one.agreement)
                for name, facts in run.found.measured.items()
                for one in facts
                if (one.task, one.half) == (used.name, half)
            ]
            if rows:
                caption = f"{used.name}, {title}: {rows[0][1].n} architectures"
                yield plain_table(
                    caption, ["formula", "Kendall τ", "Spearman ρ", "Pearson r"],
                    [(name, shown(one.kendall), _with_interval(one), shown(one.pearson))
                     for name, one in rows],
                )  # fmt: skip


def _with_interval(one: Agreement) -> Markup:
    between = interval(one)
    return join(shown(one.spearman), tag("small", between) if between else None)


def _graph(run: SavedRun) -> Markup:
    drawn = Markup(show(run.best, "svg"))
    return tag(
        "details",
        tag("summary", "Computation graph"),
        tag("div", drawn, class_="graph", tabindex=0, role="group",
            aria_label="Computation graph, shared values once, kinds on the edges"),
    )  # fmt: skip


def front(run: SavedRun) -> Markup:
    """The Pareto front as a chart and as formulas."""
    on_front = {format_formula(proxy) for proxy in run.pareto}
    points, steps = [], []
    for one in run.hall_of_fame:
        point = Point(one.complexity, one.tau, "hall", f"{one.formula}: τ = {shown(one.tau)}")
        points.append(point)
        if one.formula in on_front:
            steps.append(point)
        held = one.numbers.get(HELD_OUT, math.nan)
        if math.isfinite(held):
            label = f"{one.formula}: held out τ = {shown(held)}"
            points.append(Point(one.complexity, held, "held", label))
    groups = ["hall", *(["held"] if any(p.group == "held" for p in points) else [])]
    return section(
        "front", "Pareto front",
        tag("p", "Formulas that rank better than every simpler one.", class_="lead"),
        tag("div",
            tag("figure", charts.pareto(points, steps, "front-chart", _level(run)),
                tag("figcaption", charts.legend(groups, [("front", "Pareto front"), *_null_line(run)]))),
            tag("div", _front_table(run), class_="scroll"), class_="charts"),
    )  # fmt: skip


def _front_table(run: SavedRun) -> Markup:
    known = {one.formula: one for one in run.hall_of_fame}
    numbers = {"tau": "τ, selection"}
    if any(HELD_OUT in one.numbers for one in run.hall_of_fame):
        numbers[HELD_OUT] = "τ, held out"
    heads = ["complexity", *numbers.values(), "formula"]
    head = [
        tag("th", h, scope="col", role="columnheader", class_=None if h == "formula" else "n")
        for h in heads
    ]
    body = []
    for proxy in run.pareto:
        one = known.get(format_formula(proxy))
        if one is None:
            continue
        cells = [str(one.complexity), *(shown(one.numbers[name]) for name in numbers)]
        made = [
            tag("td", cell, role="cell", data_label=label, class_="n")
            for label, cell in zip(heads, cells, strict=False)
        ]
        formula = join(
            tag("div", formula_math(proxy, display=False), class_="math", tabindex=0, role="group",
                aria_label=f"The formula with {one.complexity} nodes"),
            tag("code", one.formula),
        )  # fmt: skip
        made.append(tag("td", formula, role="cell", data_label="formula", class_="f"))
        body.append(tag("tr", *made, role="row"))
    return tag(
        "table", tag("caption", "The front, simplest first."),
        tag("thead", tag("tr", *head, role="row"), role="rowgroup"),
        tag("tbody", *body, role="rowgroup"), class_="cards front", role="table",
    )  # fmt: skip


def curve(run: SavedRun) -> Markup:
    """How the search got on, and what it was spared."""
    found = run.found.counts
    counts = {
        "formulas evaluated": found.evaluations,
        "proposals that were known formulas": found.same_formula,
        "formulas that rank as an earlier one does": found.same_ranks,
        "screened out before full evaluation": found.screened,
        "rejected: they cannot be ranked": sum(n for _, n in found.rejected),
    }
    ended = STOPPED.get(run.found.stopped, run.found.stopped)
    done = plain_table(
        f"What the search did. It ended because: {ended}.", ["what", "number"],
        [(what, str(n)) for what, n in counts.items()],
    )  # fmt: skip
    reasons = [(why, str(n)) for why, n in found.rejected]
    why = data_table("Why formulas were rejected", ["reason", "number"], reasons)
    return section(
        "curve", "Search curve",
        tag("div", _curve(run), tag("div", done, why if reasons else None), class_="charts"),
    )  # fmt: skip


def _curve(run: SavedRun) -> Markup:
    if not run.history:
        return tag("p", "No generation was recorded.", class_="note")
    steps = [
        (str(one.generation), str(one.evaluations), shown(one.tau, 4), shown(one.fitness, 4),
         str(one.complexity))
        for one in run.history
    ]  # fmt: skip
    lines = [("curve", "best so far, on the selection architectures"), *_null_line(run)]
    return tag(
        "figure", charts.search_curve(run.history, "curve-chart", _level(run)),
        tag("figcaption", charts.legend(["step"], lines)),
        data_table("Every generation",
                   ["generation", "evaluations", "τ", "fitness", "complexity"], steps),
    )  # fmt: skip


def _level(run: SavedRun) -> float | None:
    return run.null.mean if run.null else None


def _null_line(run: SavedRun) -> list[tuple[str, str]]:
    return [] if run.null is None else [("null", "null level: best on shuffled accuracies")]
