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
        rows += [(f"let {name}", ""), *_rows(body, "└─ ", "   ")]
    if found.lets:
        rows += [("score", ""), *_rows(found.score, "└─ ", "   ")]
    else:
        rows = _rows(found.score, "", "")
    width = max(len(text) for text, _ in rows) + 3
    return "\n".join(f"{text:<{width}}{kind}".rstrip() for text, kind in rows)


def _rows(node: Typed, lead: str, indent: str) -> list[tuple[str, str]]:
    """A node behind `lead`, and what stands below it behind `indent`."""
    rows = [(lead + _label(node), str(node.kind))]
    for number, child in enumerate(node.children, 1):
        last = number == len(node.children)
        rows += _rows(
            child, indent + ("└─ " if last else "├─ "), indent + ("   " if last else "│  ")
        )
    return rows


def _label(node: Typed) -> str:
    if isinstance(node.expr, Call):
        return node.expr.op + format_attrs(node.expr.attrs)
    return "pair" if isinstance(node.expr, PairOf) else format_expression(node.expr)
