"""Formulas in the Unicode spelling that the parser reads back: ``‖logsoftmax(∂L/∂W)‖_F``."""

from __future__ import annotations

from autodas_dsl.language.format import format_attrs, format_number
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.language.tree import Call, Name, Number, PairOf
from autodas_dsl.language.typed import Typed

_SUM, _PRODUCT, _UNARY, _POWER, _ATOM = range(5)
_INFIX = {
    "add": (" + ", _SUM, _SUM, _PRODUCT),
    "sub": (" − ", _SUM, _SUM, _PRODUCT),
    "mul": (" · ", _PRODUCT, _PRODUCT, _UNARY),
    "div": (" / ", _PRODUCT, _PRODUCT, _UNARY),
    "matmul": (" @ ", _PRODUCT, _PRODUCT, _UNARY),
    "pow": ("^", _POWER, _ATOM, _UNARY),
}
_NORMS = {"norm_F": "_F", "norm_1": "₁", "norm_2": "₂", "norm_inf": "_∞", "norm_nuc": "_*"}
_SUPERSCRIPTS = {2.0: "²", 3.0: "³", 4.0: "⁴"}
_SPELLED = {"maximum": "max", "minimum": "min", "sigmoid": "σ", "sum": "∑"}


def unicode(proxy: Proxy) -> str:
    """The lets and the score of a proxy, one line each; `parse` reads every formula back.

    Raises
    ------
    FormulaError
        When the proxy does not check.
    """
    found = proxy.typed()
    lines = [f"let {_word(name)} = {unicode_of(body)}" for name, body in found.lets]
    return "\n".join([*lines, unicode_of(found.score)])


def unicode_of(node: Typed) -> str:
    """One typed expression."""
    return _text(node, _SUM, in_bars=False)


def _text(node: Typed, floor: int, in_bars: bool) -> str:
    expr = node.expr
    if isinstance(expr, Number):
        return format_number(expr.value)
    if isinstance(expr, Name):
        return _name(expr)
    if isinstance(expr, PairOf):
        first, second = (_text(child, _SUM, in_bars) for child in node.children)
        return f"[{first}, {second}]"
    if not expr.attrs:
        plain = _infix(expr, node, floor, in_bars) or _marked(expr, node, floor, in_bars)
        if plain:
            return plain
    inner = ", ".join(_text(child, _SUM, in_bars) for child in node.children)
    return f"{_SPELLED.get(expr.op, expr.op)}{_attrs(expr)}({inner})"


def _infix(call: Call, node: Typed, floor: int, in_bars: bool) -> str:
    """Binary signs; the empty text for other calls."""
    if call.op not in _INFIX:
        return ""
    sign, level, left, right = _INFIX[call.op]
    first, second = node.children
    if call.op == "mul" and first.member.axes and second.member.axes:
        sign = " ⊙ "
    base = _text(first, left, in_bars)
    if call.op == "pow" and isinstance(second.expr, Number):
        mark = _SUPERSCRIPTS.get(second.expr.value)
        if mark:
            return f"{base}{mark}" if floor <= _POWER else f"({base}{mark})"
    text = base + sign + _text(second, right, in_bars)
    return text if level >= floor else f"({text})"


def _marked(call: Call, node: Typed, floor: int, in_bars: bool) -> str:
    """Minus, root and bars; the empty text for other calls."""
    if len(node.children) != 1:
        return ""
    child = node.children[0]
    if call.op == "neg":
        text = "−" + _text(child, _POWER, in_bars)
        return text if floor <= _UNARY else f"({text})"
    if call.op == "sqrt":
        return "√" + _text(child, _ATOM, in_bars)
    if in_bars:
        return ""
    if call.op == "abs":
        return f"|{_text(child, _SUM, True)}|"
    if call.op in _NORMS:
        return f"‖{_text(child, _SUM, True)}‖{_NORMS[call.op]}"
    return ""


def _name(name: Name) -> str:
    plain = _word(name.text) + format_attrs(name.attrs).replace("-", "−")
    if name.prefix == "grad" and not name.prefix_attrs:
        return f"∂L/∂{plain}"
    return f"{name.prefix}{format_attrs(name.prefix_attrs)} {plain}" if name.prefix else plain


def _word(text: str) -> str:
    """A name; its subscript s or t as such."""
    if text.endswith(("_s", "_t")) and not text[:-2].endswith("_"):
        return text[:-2] + {"s": "ₛ", "t": "ₜ"}[text[-1]]
    return text


def _attrs(call: Call) -> str:
    return format_attrs(call.attrs).replace("-", "−")
