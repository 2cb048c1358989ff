"""One way in to every printed form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.proxy import Proxy, format_formula
from autodas_dsl.language.resolve import suggest


def show(proxy: Proxy, form: str, **options: Any) -> str:
    """A proxy in one of `FORMS`.

    Parameters
    ----------
    proxy : Proxy
    form : str
    options
        For ``latex``: `layout`, `width` and `digits` (see `LatexOptions`); for ``mathml``:
        `digits`.

    Raises
    ------
    FormulaError
        When the proxy does not check.
    InputError
        E807 for an unknown form, E808 for an option that the form does not take.
    """
    if form not in FORMS:
        raise InputError("E807", f"there is no form `{form}`",
                         suggest(form, FORMS) or f"it is one of {', '.join(FORMS)}")  # fmt: skip
    allowed = {"latex": {"layout", "width", "digits"}, "mathml": {"digits"}}.get(form, set())
    unknown = sorted(set(options) - allowed)
    if unknown:
        raise InputError("E808", f"`{form}` has no option `{unknown[0]}`")
    return _PRINTERS[form](proxy, **options)


# Each printer is imported when its form is asked for: networkx and sympy are slow to load.


def _unicode(proxy: Proxy) -> str:
    from autodas_dsl.printing.unicode import unicode

    return unicode(proxy)


def _latex(proxy: Proxy, **options: Any) -> str:
    from autodas_dsl.printing.latex_page import LatexOptions, latex

    return latex(proxy, LatexOptions(**options))


def _mathml(proxy: Proxy, **options: Any) -> str:
    from autodas_dsl.printing.mathml import mathml

    return mathml(proxy, **options)


def _sympy(proxy: Proxy) -> str:
    from autodas_dsl.printing.sympy_form import sympy_form

    return sympy_form(proxy)


def _tree(proxy: Proxy) -> str:
    from autodas_dsl.printing.tree_form import tree

    return tree(proxy)


def _dot(proxy: Proxy) -> str:
    from autodas_dsl.printing.graph import computation_graph, dot

    return dot(computation_graph(proxy))


def _graphml(proxy: Proxy) -> str:
    from autodas_dsl.printing.graph import computation_graph, graphml

    return graphml(computation_graph(proxy))


def _json(proxy: Proxy) -> str:
    from autodas_dsl.printing.graph import as_json

    return as_json(proxy)


def _svg(proxy: Proxy) -> str:
    from autodas_dsl.printing.draw import svg
    from autodas_dsl.printing.graph import computation_graph

    return svg(computation_graph(proxy))


_PRINTERS: dict[str, Callable[..., str]] = {
    "text": format_formula, "unicode": _unicode, "latex": _latex, "mathml": _mathml,
    "sympy": _sympy, "tree": _tree, "dot": _dot, "json": _json, "graphml": _graphml, "svg": _svg,
}  # fmt: skip
FORMS = tuple(_PRINTERS)
