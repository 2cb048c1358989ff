"""One way in to every printed form."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from autodas_dsl.language.documents import Proxy, format_formula
from autodas_dsl.language.resolve import suggest
from autodas_dsl.language.spans import InputError

FORMS = ("text", "unicode", "latex", "mathml", "sympy", "tree", "dot", "json", "graphml", "svg")


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


def _part(name: str) -> Any:
    """A module of this package, loaded when a form needs it: sympy and networkx are slow."""
    return importlib.import_module(f"autodas_dsl.algebra.{name}")


def _latex(proxy: Proxy, **options: Any) -> str:
    module = _part("latex_page")
    return str(module.latex(proxy, module.LatexOptions(**options)))


def _graph(printer: str) -> Callable[[Proxy], str]:
    def draw(proxy: Proxy) -> str:
        module = _part("graph")
        return str(getattr(module, printer)(module.computation_graph(proxy)))

    return draw


_PRINTERS: dict[str, Callable[..., str]] = {
    "text": format_formula,
    "unicode": lambda proxy: _part("unicode").unicode(proxy),
    "latex": _latex,
    "mathml": lambda proxy, **options: _part("mathml").mathml(proxy, **options),
    "sympy": lambda proxy: _part("printers").sympy_form(proxy),
    "tree": lambda proxy: _part("printers").tree(proxy),
    "dot": _graph("dot"),
    "graphml": _graph("graphml"),
    "json": lambda proxy: _part("printers").as_json(proxy),
    "svg": lambda proxy: _part("draw").svg(proxy),
}
