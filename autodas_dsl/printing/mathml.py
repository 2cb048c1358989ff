"""Presentation MathML of formulas, as their LaTeX reads; also such that it wraps.

Browsers break no line inside a formula, but between two of them. So a formula becomes several
``<math>`` elements: it may break before a sign, after a comma, an equals sign or a sum, and inside of
wide brackets. Wide roots and quotients are written in a line, with brackets.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree.ElementTree import Element, SubElement

from autodas_dsl.language.proxy import Proxy
from autodas_dsl.printing.latex_page import LatexOptions, latex
from autodas_dsl.printing.tex import (
    APPLY,
    fenced,
    is_fence,
    is_narrow,
    is_sum,
    is_tall,
    leaf,
    markup,
    node,
    read_tex,
    width,
)

NAMESPACE = "http://www.w3.org/1998/Math/MathML"


def mathml(proxy: Proxy, digits: int | None = None) -> str:
    """A ``<math>`` element with the score and its definitions, and its LaTeX as annotation.

    Parameters
    ----------
    proxy : Proxy
    digits : int, optional
        Significant digits of numbers.

    Raises
    ------
    FormulaError
        When the proxy does not check.
    """
    return mathml_of(latex(proxy, LatexOptions(digits=digits)))


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


WIDE = 14.0
"""Characters above which a part may break inside."""

_SIGNS = frozenset("+−⋅⊙×@")
_ENDS = frozenset(",=")
_TALL = "2.2em"
"""The height of brackets around something tall that may break."""

Piece = list[Element]


def wrapping_mathml(proxy: Proxy, digits: int | None = None, display: bool = True) -> str:
    """The score and its definitions as ``<math>`` elements between which a line may break.

    Parameters
    ----------
    proxy : Proxy
    digits : int, optional
        Significant digits of numbers.
    display : bool
        Set large, as on a line of its own.

    Raises
    ------
    FormulaError
        When the proxy does not check.
    """
    row = read_tex(latex(proxy, LatexOptions(digits=digits)))
    return "<wbr />".join(_math(piece, display) for piece in _pieces(_items(row)) if piece)


def _math(piece: Piece, display: bool) -> str:
    style = {"displaystyle": "true"} if display else {}
    math = Element("math", {"xmlns": NAMESPACE, "display": "inline", **style})
    math.append(node("mrow", *piece))
    return markup(math)


def _items(element: Element) -> Iterable[Element]:
    """What stands in a row, or is alone in it."""
    return element if element.tag == "mrow" and not is_fence(element) else [element]


def _pieces(items: Iterable[Element]) -> list[Piece]:
    """What stands together on a line, for the items of a row."""
    pieces: list[Piece] = [[]]
    before: Element | None = None
    for item in items:
        drawn_close, first = before is not None and is_narrow(before), before is None
        before = item
        if is_narrow(item) or (item.text == APPLY and drawn_close):
            continue
        if item.text in _SIGNS:  # begins a piece; the first of a row is that of a negative number
            pieces += [] if first else [[]]
            item.set("form", "prefix" if first else "infix")
        elif item.text in _ENDS:
            item.set("form", "infix")
        inner = _inside(item)
        pieces[-1] += inner[0]
        pieces += inner[1:]
        if item.text in _ENDS or is_sum(item) or (width(item) >= 2 and item.tag == "mspace"):
            pieces.append([])
    return pieces


def _inside(item: Element) -> list[Piece]:
    """The pieces of one item: a single one unless it is wide."""
    if item.tag == "mrow" and not is_fence(item):
        return _pieces(item)
    if width(item) > WIDE:
        if is_fence(item):
            return _broken(item)
        if item.tag in ("msub", "msup", "msubsup") and is_fence(item[0]):
            *inner, last = _broken(item[0])
            return [*inner, [*last[:-1], node(item.tag, last[-1], *item[1:])]]
        if item.tag == "msqrt":
            first, *rest = _broken(fenced("(", item[0], ")"))
            return [[leaf("mo", "√"), *first], *rest]
        if item.tag == "mfrac":
            above, below = map(_side, item)
            below[0].insert(0, leaf("mo", "/"))
            return [*above, *below]
    return [[item]]


def _side(side: Element) -> list[Piece]:
    """One side of a quotient in a line."""
    row = side.tag == "mrow" and not is_fence(side)
    return _broken(fenced("(", side, ")")) if row else _inside(side)


def _broken(fence: Element) -> list[Piece]:
    """The pieces inside of brackets: a line may break after the opening one."""
    opening, inside, closing = fence
    for bracket in (opening, closing) if is_tall(inside) else ():
        bracket.set("minsize", _TALL)
    *inner, last = _pieces(_items(inside))
    return [[opening], *inner, [*last, closing]]
