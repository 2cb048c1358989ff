"""The table of printed forms, and one way in to all of them."""

from __future__ import annotations

from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.language.resolve import suggest


@dataclass(frozen=True, slots=True)
class Form:
    """A printed form.

    Parameters
    ----------
    printer : str
        Its function of a proxy, as ``module:name`` below the package; imported when the form is
        asked for, because networkx and sympy are slow to load.
    language : str
        The lexer of Pygments that colours it; empty for none.
    options : tuple of str
        What the printer takes besides the proxy.
    """

    printer: str
    language: str = ""
    options: tuple[str, ...] = ()


FORMS = {
    "text": Form("language.proxy:format_formula", "proxy"),
    "unicode": Form("printing.unicode:unicode", "proxy"),
    "latex": Form("printing.latex_page:shown", "latex", ("layout", "width", "digits")),
    "mathml": Form("printing.mathml:mathml", "xml", ("digits",)),
    "sympy": Form("printing.sympy_form:sympy_form", "python"),
    "tree": Form("printing.tree_form:tree"),
    "dot": Form("printing.graph:dot", "dot"),
    "json": Form("printing.graph:as_json", "json"),
    "graphml": Form("printing.graph:graphml", "xml"),
    "svg": Form("printing.draw:svg", "xml"),
}


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
    unknown = sorted(set(options) - set(FORMS[form].options))
    if unknown:
        raise InputError("E808", f"`{form}` has no option `{unknown[0]}`")
    text: str = resolve_name(f"autodas_dsl.{FORMS[form].printer}")(proxy, **options)
    return text
