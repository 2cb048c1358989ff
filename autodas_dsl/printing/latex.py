"""Surface tree to LaTeX in the notation of the paper.

Templates come from the operator and statistic tables; amsmath sets them.
In a template of an operator stand, besides ``{0}``, ``{1}`` and the attributes:

``{axis}``
    the axis as a subscript where it is not the default, the layer index where the layer list goes;
``{within}``
    the same as the tail of a subscript: ``,HW``;
``{attrs}``
    the other attributes that are not at their default, as a superscript;
``{times}``
    the sign of a product;
``{count}``
    the number of layers that a reduction of the layer list goes over.

In a template of a statistic ``{index}`` is the subscript of the layer and ``{probe}`` the
superscript of the probe, stage or split.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.format import format_number, unsigned
from autodas_dsl.language.inputs import INPUTS, NTK_SAMPLES, Input, Statistic
from autodas_dsl.language.kinds import Pair
from autodas_dsl.language.operators import OPERATORS, Operator, Value
from autodas_dsl.language.tree import Call, Name, Number, PairOf, with_children
from autodas_dsl.language.typed import Typed
from autodas_dsl.language.visible import visible

# How tightly a piece of LaTeX holds together: a lower one needs parentheses inside a higher one.
SUM, NEG, BIG, PRODUCT, SCRIPT, ATOM = range(6)
_COUNT = {"lin": "M", "act": r"M_{\mathrm{act}}", "bn": r"M_{\mathrm{bn}}",
          "block": r"M_{\mathrm{block}}", "att": r"M_{\mathrm{att}}",
          "mod": r"M_{\mathrm{mod}}"}  # fmt: skip
_GREEK = re.compile(
    "alpha|beta|gamma|delta|epsilon|zeta|eta|theta|kappa|lambda|mu|nu|xi|pi|rho|sigma|tau|upsilon"
    "|phi|chi|psi|omega"
)
_FRACTION, _TIMES = r"\frac{{{0}}}{{{1}}}", r" \cdot "
_SIDE = "side"
"""The attribute that a let name has here where one member of its pair is meant."""
_OPEN_ENDED = re.compile(
    r"\\right(?:\\[|}]|\\rangle|[^\\])(?:[_^](?:[^{]|\{(?:[^{}]|\{[^{}]*\})*\}))*$"
)


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of LaTeX and how tightly it holds together."""

    text: str
    level: int = ATOM

    def at(self, floor: int) -> str:
        """The text, in parentheses when it holds together less tightly than `floor`."""
        return self.text if self.level >= floor else rf"\left({self.text}\right)"


def number_latex(value: float, digits: int | None = None) -> Piece:
    """``0.65``, ``10^{-5}``, ``2.5 \\times 10^{-7}``."""
    text = format_number(value)
    if digits is not None:
        text = format_number(float(f"{value:.{digits}g}"))
    mantissa, mark, exponent = text.partition("e")
    if not mark:
        return Piece(mantissa)
    power = f"10^{{{int(exponent)}}}"
    if mantissa == "1":
        return Piece(power, SCRIPT)
    return Piece(rf"{mantissa} \times {power}", PRODUCT)


def latex_of(node: Typed, digits: int | None = None) -> Piece:
    """LaTeX of one typed expression.

    Parameters
    ----------
    node : Typed
    digits : int, optional
        Significant digits of numbers; all of them when absent.

    Raises
    ------
    InputError
        E801 for a template, of a user's own operator or statistic, that cannot be filled.
    """
    expr = node.expr
    if isinstance(expr, Number):
        return number_latex(expr.value, digits)
    if isinstance(expr, Name):
        return _name(node)
    pieces = [latex_of(child, digits) for child in _arguments(node)]
    if isinstance(expr, PairOf):
        return Piece(rf"\left[{before_comma(pieces[0].text)}, {pieces[1].text}\right]")
    entry = OPERATORS[expr.op]
    if entry.binds == "sum":
        return _sum(entry.infix, node, pieces)
    if "{times}" in entry.latex:
        return _product(entry, node, pieces)
    if (
        entry.latex == _FRACTION
        and pieces[0].level == BIG
        and isinstance(node.children[1].expr, Number)
    ):
        # a factor in front of the big sum
        return Piece(rf"\frac{{1}}{{{pieces[1].text}}} {pieces[0].text}", BIG)
    return _template(entry, expr, node, pieces, digits)


# --- names ------------------------------------------------------------------------------------


def _name(node: Typed) -> Piece:
    assert isinstance(node.expr, Name)
    statistic = node.statistic
    index = r"\ell" if node.member.layers else ""
    if node.is_proxy:
        return Piece(score_symbol(node.expr.text))
    if statistic is None:
        symbol = symbol_latex(node.expr.text, index)
        sides = [value for key, value in node.expr.attrs if key == _SIDE]
        return Piece(f"{symbol}^{{({sides[0]:g})}}", SCRIPT) if sides else Piece(symbol)
    return _statistic(statistic, index)


def _statistic(statistic: Statistic, index: str) -> Piece:
    probe = _probe(statistic)
    entry = INPUTS[statistic.base]
    fields = {
        "index": f"_{{{index}}}" if index else "",
        "probe": f"^{{{probe}}}" if probe else "",
        "parts": str(statistic.parts),
    }
    text = _filled(f"statistic `{entry.name}`", entry.latex, [], fields)
    if index and r"\ell" not in text:
        text = f"{{{text}}}_{{{index}}}"
    if probe and "{probe}" not in entry.latex:
        text = f"{{{text}}}^{{{probe}}}"
    scripted = "\\frac" in text or "^" in text
    return Piece(text, SCRIPT if scripted else ATOM)


def _probe(statistic: Statistic) -> str:
    if statistic.probe:
        return _word(statistic.probe)
    if statistic.stage != -1:
        return f"({statistic.stage})"
    if statistic.every:
        return r"\mathrm{all}"
    if statistic.parts and statistic.name != "NTK":
        return f"(1:{statistic.parts})"
    return ""


def symbol_latex(name: str, index: str = "") -> str:
    """A let name or proxy name as a symbol: ``v``, ``v_{1}``, ``\\alpha``, ``\\mathrm{diswot}``.

    What stands behind the first underscore, or digits at the end, become the subscript.
    """
    name = visible(name)
    match = re.fullmatch(r"([A-Za-z]+?)_?([0-9]*)(?:_(.*))?", name)
    base, number, rest = match.groups() if match else (name, "", "")
    scripts = [number, _word(rest) if rest else "", index]
    shown = ",".join(script for script in scripts if script)
    if _GREEK.fullmatch(base):
        base = f"\\{base}"
    elif len(base) > 1:
        base = rf"\mathrm{{{base}}}"
    return f"{base}_{{{shown}}}" if shown else base


def _word(text: str) -> str:
    """An upright word; underscores print as hyphens, which only text mode sets as hyphens."""
    text = visible(text)
    if "_" in text:
        return rf"\text{{{text.replace('_', '-')}}}"
    return rf"\mathrm{{{text}}}"


def score_symbol(name: str) -> str:
    r"""``\rho_{\mathrm{cnn}}`` for ``rho_cnn``, ``\rho_{\mathrm{snip}}`` for ``snip``."""
    if name == "expression":
        return r"\rho"
    return rf"\rho_{{{_word(name.removeprefix('rho_'))}}}"


# --- calls ------------------------------------------------------------------------------------


def _sum(sign: str, node: Typed, pieces: list[Piece]) -> Piece:
    """A sum or difference; adding a negative prints as a difference."""
    left, right = pieces
    last = node.children[1].expr
    if right.level == NEG and unsigned(last) is not last:
        right = Piece(right.text[1:], BIG)
        sign = "-" if sign == "+" else "+"
    joined = sign == "+" and right.level == SUM and not right.text.startswith("-")
    return Piece(f"{left.text} {sign} {right.at(SUM if joined else BIG)}", SUM)


def _product(entry: Operator, node: Typed, pieces: list[Piece]) -> Piece:
    left, right = pieces
    first, second = node.children
    if first.member.axes and second.member.axes:
        sign = r" \odot "
    elif isinstance(unsigned(first.expr), Number) and not re.match(r"\d|\\frac", right.at(BIG)):
        sign = r"\,"
    else:
        sign = _TIMES
    negative = left.level == NEG
    text = entry.latex.format(
        left.text if negative else left.at(PRODUCT), right.at(BIG), times=sign
    )
    return Piece(text, NEG if negative else BIG if right.level == BIG else PRODUCT)


def _template(
    entry: Operator, call: Call, node: Typed, pieces: list[Piece], digits: int | None
) -> Piece:
    layers = node.children[0].member.layers
    removes_layers = layers is not None and not node.member.layers
    template = entry.over_layers if removes_layers else entry.latex
    values = entry.values(tuple((key or "axis", value) for key, value in call.attrs))
    fields = {key: _value(value, digits) for key, value in values.items() if key != "axis"}
    others = [
        f"{attr.name if len(attr.name) == 1 else _word(attr.name)}={fields[attr.name]}"
        for attr in entry.attrs
        if values[attr.name] != attr.default and f"{{{attr.name}}}" not in template
    ]
    count = _COUNT[layers] if layers else ""
    axis = next((str(value) for key, value in call.attrs if not key), "")
    over = r"\sum{axis}" in template
    axis = axis or (r"\ell" if removes_layers else "i" if over else "")
    fields["axis"] = f"_{{{axis}}}" if axis else ""
    if over and axis == r"\ell":
        fields["axis"] = rf"_{{\ell=1}}^{{{count}}}"
    fields |= {"count": count, "within": f",{axis}" if axis else "",
               "attrs": f"^{{{','.join(others)}}}" if others else ""}  # fmt: skip
    level, floors = _shape(template)
    texts = [piece.at(floors.get(at, SUM)) for at, piece in enumerate(pieces)]
    texts = [before_comma(text) if f"{{{at}}}," in template else text
             for at, text in enumerate(texts)]  # fmt: skip
    level = {"unary": NEG, "power": SCRIPT}.get(entry.binds, level)
    return Piece(_filled(f"operator `{entry.name}`", template, texts, fields), level)


def _arguments(node: Typed) -> tuple[Typed, ...]:
    """What is printed between the brackets of a call; a distance of one pair has both its sides."""
    distance = isinstance(node.expr, Call) and OPERATORS[node.expr.op].is_distance
    if distance and len(node.children) == 1:
        return _side(node.children[0], 0), _side(node.children[0], 1)
    return node.children


def _side(node: Typed, at: int) -> Typed:
    """One member of a pair: operators lift over pairs, so they go to each of its members."""
    if not isinstance(node.kind, Pair):
        return node
    if isinstance(node.expr, PairOf):
        return node.children[at]
    kind = (node.kind.first, node.kind.second)[at]
    if isinstance(node.expr, Call):
        children = tuple(_side(child, at) for child in node.children)
        return Typed(with_children(node.expr, tuple(c.expr for c in children)), kind, children)
    assert isinstance(node.expr, Name)  # a let
    return Typed(replace(node.expr, attrs=((_SIDE, float(at + 1)),)), kind)


def before_comma(text: str) -> str:
    r"""Text in braces where TeX would set a space between its last ``\right`` and a comma."""
    return f"{{{text}}}" if _OPEN_ENDED.search(text) else text


def _value(value: Value, digits: int | None) -> str:
    if isinstance(value, str):
        return rf"\mathrm{{{value}}}"
    return (
        f"-{number_latex(-value, digits).text}" if value < 0 else number_latex(value, digits).text
    )


@cache
def _shape(template: str) -> tuple[int, Mapping[int, int]]:
    """How tightly a filled template holds together, and what its arguments must.

    Arguments inside brackets or braces may be anything; a bare one holds like a factor, the base of
    a power like a letter.
    """
    floors: dict[int, int] = {}
    depth = 0
    for token in re.finditer(r"\\left\\?.|\\right\\?.|\{\{|\}\}|\{(\d)\}(\^?)", template):
        text = token.group()
        if text.startswith(r"\left") or text == "{{":
            depth += 1
        elif text.startswith(r"\right") or text == "}}":
            depth -= 1
        elif not depth:
            floors[int(token.group(1))] = ATOM if token.group(2) else BIG
    if re.search(r"\{\d\}$", template):
        return BIG if len(floors) == 1 else PRODUCT, floors
    return SCRIPT if template.startswith(r"\frac") else ATOM, floors


def _filled(owner: str, template: str, texts: Sequence[str], fields: Mapping[str, str]) -> str:
    try:
        return template.format(*texts, **fields)
    except (KeyError, IndexError, ValueError) as error:
        raise InputError(
            "E801", f"the LaTeX template of {owner} cannot be filled: {template!r} ({error})",
            "braces are doubled; {0} and {1} are the arguments",
        ) from None  # fmt: skip


# --- entries of the tables --------------------------------------------------------------------


def operator_latex(entry: Operator) -> str:
    """An operator over the arguments of its signature, every attribute at its default.

    Raises
    ------
    InputError
        E801 for a template that cannot be filled.
    """
    fields = {a.name: number_latex(a.default).text for a in entry.attrs}
    fields |= {"axis": "", "within": "", "attrs": "", "times": _TIMES}
    return _filled(f"operator `{entry.name}`", entry.latex, entry.letters, fields)


def statistic_latex(entry: Input) -> str:
    """A statistic with its layer index, without attributes.

    Raises
    ------
    InputError
        E801 for a template that cannot be filled.
    """
    prefix, _, letter = entry.name.rpartition(" ")
    parts = NTK_SAMPLES if entry.name == "NTK" else 0
    index = r"\ell" if entry.kind.layers else ""
    return _statistic(Statistic(letter, prefix, parts=parts), index).text
