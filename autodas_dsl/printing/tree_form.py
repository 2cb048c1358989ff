"""The tree of a proxy, indented, with kinds."""

from __future__ import annotations

from autodas_dsl.language.format import format_attrs, format_expression
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.language.tree import Call, PairOf
from autodas_dsl.language.typed import Typed


def tree(proxy: Proxy) -> str:
    """Every node on a line, indented, with its kind in a second column.

    Raises
    ------
    FormulaError
        When the proxy does not check.
    """
    found = proxy.typed()
    rows: list[tuple[str, str]] = []
    for name, body in found.lets:
        rows.append((f"let {name}", ""))
        rows += _rows(body, "", True)
    rows += [("score", ""), *_rows(found.score, "", True)] if found.lets else _plain(found.score)
    width = max(len(text) for text, _ in rows) + 3
    return "\n".join(f"{text:<{width}}{kind}".rstrip() for text, kind in rows)


def _plain(node: Typed) -> list[tuple[str, str]]:
    """The rows of a tree whose root stands in the first column."""
    return [(_label(node), str(node.kind)), *_below(node, "")]


def _rows(node: Typed, indent: str, last: bool) -> list[tuple[str, str]]:
    lead = indent + ("└─ " if last else "├─ ")
    return [
        (lead + _label(node), str(node.kind)),
        *_below(node, indent + ("   " if last else "│  ")),
    ]


def _below(node: Typed, indent: str) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for number, child in enumerate(node.children):
        rows += _rows(child, indent, number == len(node.children) - 1)
    return rows


def _label(node: Typed) -> str:
    if isinstance(node.expr, Call):
        return node.expr.op + format_attrs(node.expr.attrs)
    return "pair" if isinstance(node.expr, PairOf) else format_expression(node.expr)
