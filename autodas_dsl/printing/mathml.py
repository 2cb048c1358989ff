"""Presentation MathML of formulas, made from the boxes of their LaTeX."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, tostring

from autodas_dsl.language.proxy import Proxy
from autodas_dsl.printing.latex_page import LatexOptions, latex
from autodas_dsl.printing.tex import (
    Accent,
    Box,
    Fence,
    Fraction,
    Mark,
    Root,
    Row,
    Script,
    Space,
    read_tex,
)

NAMESPACE = "http://www.w3.org/1998/Math/MathML"
APPLY = "\u2061"
"""The invisible sign between a function and its argument."""
_SCRIPT = {"L": "ℒ", "D": "𝒟"}
_BOLD = {str(digit): chr(0x1D7CE + digit) for digit in range(10)} | {
    chr(65 + at): chr(0x1D400 + at) for at in range(26)
}
_LIMITS = ("∑", "∏")


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
    semantics.append(element(read_tex(text)))
    SubElement(semantics, "annotation", encoding="application/x-tex").text = text
    return tostring(root, encoding="unicode")


def element(box: Box) -> Element:
    """One box."""
    if isinstance(box, Mark):
        return _mark(box)
    if isinstance(box, Script):
        return _script(box)
    if isinstance(box, Fraction):
        return _node("mfrac", element(box.above), element(box.below))
    if isinstance(box, Root):
        return _node("msqrt", element(box.inside))
    if isinstance(box, Fence):
        tall = is_tall(box.inside)
        return _node("mrow", delimiter(box.opening, "prefix", tall), element(box.inside),
                     delimiter(box.closing, "postfix", tall))  # fmt: skip
    if isinstance(box, Accent):
        return _node("mover", element(box.inside), _leaf("mo", box.mark))
    if isinstance(box, Space):
        return Element("mspace", width=f"{box.width:g}em")
    return _row(box)


def _row(row: Row) -> Element:
    """An ``mrow``; an invisible sign stands between a function and its argument."""
    items = [item for item in row.items if not (isinstance(item, Space) and item.width < 0)]
    if len(items) == 1:
        return element(items[0])
    result = Element("mrow")
    for number, item in enumerate(items):
        result.append(element(item))
        if is_function(item) and number + 1 < len(items) and isinstance(items[number + 1], Fence):
            result.append(_leaf("mo", APPLY))
    return result


def is_function(box: Box) -> bool:
    """Whether a box is the name of a function, with or without scripts."""
    if isinstance(box, Script):
        box = box.base
    return isinstance(box, Mark) and box.role == "f"


def _mark(mark: Mark) -> Element:
    if mark.font == "script":
        return _leaf("mi", _SCRIPT.get(mark.text, mark.text))
    if mark.font == "bold":
        return _leaf("mi", "".join(_BOLD.get(letter, letter) for letter in mark.text))
    tag = {"n": "mn", "o": "mo", "t": "mtext"}.get(mark.role, "mi")
    if mark.role == "i" and mark.text.isdigit():
        tag = "mn"
    element = _leaf(tag, mark.text)
    if mark.font == "normal" and tag == "mi" and len(mark.text) == 1:
        element.set("mathvariant", "normal")
    return element


def _script(box: Script) -> Element:
    over = isinstance(box.base, Mark) and box.base.text in _LIMITS
    parts = [element(box.base)]
    parts += [element(part) for part in (box.below, box.above) if part is not None]
    if len(parts) == 3:
        return _node("munderover" if over else "msubsup", *parts)
    if box.below is not None:
        return _node("munder" if over else "msub", *parts)
    return _node("mover" if over else "msup", *parts)


def is_tall(box: Box) -> bool:
    """Whether a box is higher than a line: fences of a low one do not stretch.

    Browsers give a stretched fence the width of its largest form.
    """
    if isinstance(box, Fraction | Root):
        return True
    if isinstance(box, Row):
        return any(is_tall(item) for item in box.items)
    if isinstance(box, Script):
        return is_tall(box.base) or (isinstance(box.base, Mark) and box.base.text in _LIMITS)
    return isinstance(box, Fence | Accent) and is_tall(box.inside)


def delimiter(text: str, form: str, tall: bool) -> Element:
    """A bracket, which stretches around what is tall."""
    element = _leaf("mo", text)
    element.set("fence", "true")
    element.set("stretchy", "true" if tall else "false")
    element.set("form", form)
    return element


def _leaf(tag: str, text: str) -> Element:
    element = Element(tag)
    element.text = text
    return element


def _node(tag: str, *children: Element) -> Element:
    element = Element(tag)
    element.extend(children)
    return element
