"""The whole hall of fame as a table that can be sorted and filtered."""

from __future__ import annotations

import math

from autodas_dsl.evolution.run_folder import SavedRun
from autodas_dsl.evolution.run_records import Famed
from autodas_dsl.language.proxy import format_formula
from autodas_dsl.report.html import Markup, join, tag
from autodas_dsl.report.parts import section, shown

_LETTERS = {"kendall": "τ", "spearman": "ρ", "pearson": "r"}


def hall_of_fame(run: SavedRun) -> Markup:
    """The whole hall of fame, to be sorted and filtered."""
    columns = _columns(run)
    heads = [
        _heading("complexity", "n", "ascending"),
        _heading("formula", None, "none"),
        *(_heading(_title(name), "n", "none", first="descending") for name in columns),
    ]
    body = [_row(one, columns, run) for one in run.hall_of_fame]
    return section(
        "hall", "Hall of fame",
        tag("p", "The best formula of every complexity.", class_="lead"),
        _tools(len(body)),
        tag("div", tag(
            "table",
            tag("caption", "Selection: the architectures that formulas were chosen on. Held out: "
                "the others. Fitness: τ less the price of complexity, what formulas competed with. "
                "Press a heading to sort."),
            tag("thead", tag("tr", *heads, role="row"), role="rowgroup", class_="sorts"),
            tag("tbody", *body, role="rowgroup"),
            class_="cards hall", role="table", data_sortable=True, data_search="hall-search",
            data_front="hall-front", data_status="hall-count"), class_="scroll", tabindex=0,
            role="group", aria_label="Hall of fame"),
    )  # fmt: skip


def _tools(count: int) -> Markup:
    """What filters the table; shown by the script that does it."""
    return tag(
        "div",
        tag("label", tag("span", "Filter formulas"),
            tag("input", type="search", id="hall-search", placeholder="words, e.g. grad KL")),
        tag("label", tag("input", type="checkbox", id="hall-front"), "Pareto front only",
            class_="check"),
        tag("p", f"{count} of {count} formulas", id="hall-count", class_="hint count",
            role="status"),
        class_="tools", hidden=True,
    )  # fmt: skip


def _columns(run: SavedRun) -> list[str]:
    """The columns of numbers; tau on the selection is left out where it is the objective itself."""
    names = list(run.hall_of_fame[0].numbers) if run.hall_of_fame else []
    same = all(one.numbers.get("selection_kendall") == one.tau for one in run.hall_of_fame)
    return [name for name in names if not (same and name == "selection_kendall")]


def _title(name: str) -> str:
    """``held_out_kendall`` as "τ held out", ``selection_s0_pearson`` as "r selection s0"."""
    place, _, kind = name.rpartition("_")
    if kind not in _LETTERS:
        return {"tau": "τ"}.get(name, name.replace("_", " "))
    half = "held_out" if place.startswith("held_out") else "selection"
    table = place.removeprefix(half).removeprefix("_")
    return f"{_LETTERS[kind]} {half.replace('_', ' ')} {table}".rstrip()


def _heading(title: str, style: str | None, sort: str, first: str | None = None) -> Markup:
    """A heading that sorts; `first` is the direction of the first press where not ascending."""
    button = tag("button", title, class_="sort", type="button")
    return tag("th", button, scope="col", role="columnheader", aria_sort=sort, class_=style,
               data_first=first)  # fmt: skip


def _row(one: Famed, columns: list[str], run: SavedRun) -> Markup:
    best = one.formula == format_formula(run.best)
    on_front = any(one.formula == format_formula(proxy) for proxy in run.pareto)
    badges = [name for name, given in (("best", best), ("front", on_front)) if given]
    marked = [join(" ", tag("span", name, class_="badge")) for name in badges]
    cells = [
        tag("td", str(one.complexity), role="cell", class_="n", data_label="complexity"),
        tag("td", tag("code", one.formula), *marked, role="cell", class_="f", data_label="formula",
            data_value=one.formula),
    ]  # fmt: skip
    for name in columns:
        value = one.numbers[name]
        cells.append(
            tag("td", shown(value), role="cell", class_="n", data_label=_title(name),
                data_value="none" if math.isnan(value) else repr(value))
        )  # fmt: skip
    return tag("tr", *cells, role="row", class_="best" if best else None, data_text=one.formula,
               data_front=on_front)  # fmt: skip
