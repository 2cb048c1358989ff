"""Pieces that the sections of a report share: numbers, formulas, code, tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace

from autodas_dsl.evolution.run_records import BEST
from autodas_dsl.language.documents import EXPRESSION
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.printing.mathml import wrapping_mathml
from autodas_dsl.report.html import Content, Markup, tag

DIGITS = 4
WIDE = 4
"""Columns that fit on a phone."""
HALVES = {"selection": "selection", "held-out": "held out"}


def shown(value: float | None, digits: int = 3) -> str:
    """A correlation with a true minus; a dash where there is no number."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.{digits}f}".replace("-", "−")


def formula_math(proxy: Proxy, display: bool = True) -> Markup:
    """A formula as MathML that wraps, without the name of its document."""
    return Markup(wrapping_mathml(replace(proxy, name=EXPRESSION), DIGITS, display))


def code(text: str, label: str, long: bool = False) -> Markup:
    """Text to be copied."""
    button = tag("button", "Copy", class_="copy", type="button", hidden=True,
                 aria_label=f"Copy {label}")  # fmt: skip
    style = "long" if long else None
    block = tag("pre", tag("code", text), class_=style, tabindex=0 if long else None,
                role="group" if long else None, aria_label=label if long else None)  # fmt: skip
    return tag("div", block, None if long else button, class_="code")


def section(name: str, title: str, *content: Content) -> Markup:
    return tag("section", tag("h2", title, id=f"{name}-heading"), *content, id=name,
               aria_labelledby=f"{name}-heading")  # fmt: skip


def plain_table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[Content]]) -> Markup:
    """A table of a text and numbers; a wide one becomes cards on a phone."""
    head = tag("tr", *(tag("th", h, scope="col", role="columnheader", class_="n" if at else None)
                       for at, h in enumerate(heads)), role="row")  # fmt: skip
    return tag(
        "table",
        tag("caption", caption),
        tag("thead", head, role="rowgroup"),
        tag("tbody", *(_row(heads, row) for row in rows), role="rowgroup"),
        class_="cards" if len(heads) > WIDE else None, role="table",
    )  # fmt: skip


def _row(heads: Sequence[str], cells: Sequence[Content]) -> Markup:
    best = cells[0] == BEST
    made = [tag("th", cells[0], scope="row", role="rowheader", data_label=heads[0])]
    made += [
        tag("td", cell, role="cell", data_label=label, class_="n")
        for label, cell in zip(heads[1:], cells[1:], strict=True)
    ]
    return tag("tr", *made, role="row", class_="best" if best else None)


def data_table(summary: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """The numbers behind a chart, folded away."""
    head = tag("tr", *(tag("th", h, scope="col") for h in heads))
    body = [tag("tr", *(tag("td", cell) for cell in row)) for row in rows]
    table = tag("table", tag("caption", summary), tag("thead", head), tag("tbody", *body))
    scrolled = tag("div", table, class_="scroll", tabindex=0, role="group", aria_label=summary)
    return tag("details", tag("summary", summary), scrolled)
