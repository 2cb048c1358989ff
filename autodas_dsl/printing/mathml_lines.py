"""MathML that wraps: browsers break no line inside a formula, but between two of them.

A formula becomes several ``<math>`` elements: it may break before a sign, after a comma, an equals
sign or a sum, and inside of wide brackets. Wide roots and quotients are written in a line, with
brackets.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element, tostring

from autodas_dsl.language.proxy import Proxy
from autodas_dsl.printing.latex_page import LatexOptions, latex
from autodas_dsl.printing.mathml import APPLY, NAMESPACE, delimiter, element, is_function, is_tall
from autodas_dsl.printing.tex import Box, Fence, Fraction, Mark, Root, Row, Script, Space, read_tex
from autodas_dsl.printing.tex import width as width_of

WIDE = 14.0
"""Characters above which a part may break inside."""

_SIGNS = frozenset("+−⋅⊙×@")
_SUMS = frozenset("∑∏")
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
    return "<wbr />".join(_math(piece, display) for piece in _pieces(row.items) if piece)


def _math(piece: Piece, display: bool) -> str:
    style = {"displaystyle": "true"} if display else {}
    math = Element("math", {"xmlns": NAMESPACE, "display": "inline", **style})
    row = Element("mrow")
    row.extend(piece)
    math.append(row)
    return tostring(math, encoding="unicode")


def _pieces(items: Sequence[Box]) -> list[Piece]:
    """What stands together on a line, for the items of a row."""
    pieces: list[Piece] = [[]]
    for number, item in enumerate(items):
        if isinstance(item, Space) and item.width < 0:
            continue
        if isinstance(item, Mark) and item.text in _SIGNS:
            _sign(pieces, item, number)
            continue
        if number and is_function(items[number - 1]) and isinstance(item, Fence):
            pieces[-1].append(_operator(APPLY))
        inner = _inside(item)
        pieces[-1] += inner[0]
        pieces += inner[1:]
        if _ends_line(item):
            pieces.append([])
    return pieces


def _sign(pieces: list[Piece], sign: Mark, number: int) -> None:
    """A sign begins a piece; the first of a row is that of a negative number."""
    if number:
        pieces.append([])
    found = element(sign)
    found.set("form", "infix" if number else "prefix")
    pieces[-1].append(found)


def _ends_line(item: Box) -> bool:
    if isinstance(item, Script):
        return isinstance(item.base, Mark) and item.base.text in _SUMS
    wide_space = isinstance(item, Space) and item.width >= 1
    return wide_space or (isinstance(item, Mark) and item.text in _ENDS)


def _inside(item: Box) -> list[Piece]:
    """The pieces of one item: a single one unless it is wide."""
    if isinstance(item, Row):
        return _pieces(item.items)
    if width_of(item) > WIDE:
        if isinstance(item, Fence):
            return _fenced(item, [])
        if isinstance(item, Script) and isinstance(item.base, Fence):
            return _fenced(item.base, [item])
        if isinstance(item, Root):
            first, *rest = _fenced(Fence("(", item.inside, ")"), [])
            return [[_operator("√"), *first], *rest]
        if isinstance(item, Fraction):
            above, below = _side(item.above), _side(item.below)
            below[0].insert(0, _operator("/"))
            return [*above, *below]
    found = element(item)
    if isinstance(item, Mark) and item.text in _ENDS:
        found.set("form", "infix")
    return [[found]]


def _side(row: Row) -> list[Piece]:
    """One side of a quotient in a line."""
    if len(row.items) == 1:
        return _inside(row.items[0])
    return _fenced(Fence("(", row, ")"), [])


def _fenced(fence: Fence, scripts: Sequence[Script]) -> list[Piece]:
    """The pieces inside of brackets: a line may break after the opening one."""
    tall = is_tall(fence.inside)
    opening = delimiter(fence.opening, "prefix", tall)
    closing = delimiter(fence.closing, "postfix", tall)
    for side in (opening, closing) if tall else ():
        side.set("minsize", _TALL)
    for script in scripts:
        closing = _scripted(closing, script)
    *inner, last = _pieces(fence.inside.items)
    return [[opening], *inner, [*last, closing]]


def _scripted(base: Element, script: Script) -> Element:
    name = {(True, False): "msub", (False, True): "msup", (True, True): "msubsup"}[
        script.below is not None, script.above is not None
    ]
    result = Element(name)
    result.append(base)
    result.extend(element(part) for part in (script.below, script.above) if part is not None)
    return result


def _operator(text: str) -> Element:
    found = Element("mo")
    found.text = text
    return found
