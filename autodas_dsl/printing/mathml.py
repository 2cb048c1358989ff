"""Presentation MathML of formulas, as their LaTeX reads."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement

from autodas_dsl.language.proxy import Proxy
from autodas_dsl.printing.latex_page import LatexOptions, latex
from autodas_dsl.printing.tex import markup, read_tex

NAMESPACE = "http://www.w3.org/1998/Math/MathML"


def mathml(proxy: Proxy, digits: int | None = None, display: bool = True) -> str:
    """A ``<math>`` element with the score and its definitions, and its LaTeX as annotation.

    Parameters
    ----------
    proxy : Proxy
    digits : int, optional
        Significant digits of numbers.
    display : bool
        Set on a line of its own, otherwise inside text.

    Raises
    ------
    FormulaError
        When the proxy does not check.
    """
    return mathml_of(latex(proxy, LatexOptions(digits=digits)), display)


def mathml_of(text: str, display: bool = True) -> str:
    """A ``<math>`` element of one LaTeX formula.

    Raises
    ------
    InputError
        E802 when the LaTeX does not read.
    """
    root = Element("math", xmlns=NAMESPACE, display="block" if display else "inline")
    semantics = SubElement(root, "semantics")
    semantics.append(read_tex(text))
    SubElement(semantics, "annotation", encoding="application/x-tex").text = text
    return markup(root)
