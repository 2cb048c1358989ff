"""Surface tree to canonical text. Formatting never changes the tree."""

from __future__ import annotations

from dataclasses import dataclass

from autodas_dsl.language.operators import Attrs, Value
from autodas_dsl.language.spans import Span
from autodas_dsl.language.tree import Call, Expr, Name, Number, PairOf

WIDTH = 88
INDENT = "    "

_SUM, _PRODUCT, _UNARY, _POWER, _ATOM = range(5)
_INFIX = {
    "add": (" + ", _SUM, _SUM, _PRODUCT),
    "sub": (" - ", _SUM, _SUM, _PRODUCT),
    "mul": (" * ", _PRODUCT, _PRODUCT, _UNARY),
    "div": (" / ", _PRODUCT, _PRODUCT, _UNARY),
    "matmul": (" @ ", _PRODUCT, _PRODUCT, _UNARY),
    "pow": ("^", _POWER, _ATOM, _UNARY),
}
_BARS = {"norm_F": "F", "norm_1": "1", "norm_2": "2", "norm_inf": "inf", "norm_nuc": "*"}
_SPELLED = {"maximum": "max", "minimum": "min"}


def format_number(value: float) -> str:
    """The shortest text that reads back as the same float64."""
    text = repr(value)
    mantissa, mark, exponent = text.partition("e")
    mantissa = mantissa.removesuffix(".0")
    return f"{mantissa}e{int(exponent)}" if mark else mantissa


def format_attrs(attrs: Attrs) -> str:
    """``[T=8]``, ``[B]``, or nothing."""
    if not attrs:
        return ""
    return f"[{', '.join(f'{key}={_value(v)}' if key else _value(v) for key, v in attrs)}]"


def _value(value: Value) -> str:
    if isinstance(value, str):
        return value
    return f"-{format_number(-value)}" if value < 0 else format_number(value)


def format_expression(expr: Expr) -> str:
    """One line of canonical text.

    `parse` of the result is the same tree.
    """
    return _text(expr, _SUM, in_bars=False)


def _text(expr: Expr, floor: int, in_bars: bool) -> str:
    """Text of `expr`, in parentheses when it binds weaker than `floor`."""
    if isinstance(expr, Number):
        return format_number(expr.value)
    if isinstance(expr, Name):
        return _name(expr)
    if isinstance(expr, PairOf):
        return f"[{_text(expr.first, _SUM, in_bars)}, {_text(expr.second, _SUM, in_bars)}]"
    return _call(expr, floor, in_bars)


def _name(name: Name) -> str:
    plain = name.text + format_attrs(name.attrs)
    return f"{name.prefix}{format_attrs(name.prefix_attrs)} {plain}" if name.prefix else plain


def _call(call: Call, floor: int, in_bars: bool) -> str:
    if call.op in _INFIX and len(call.args) == 2 and not call.attrs:
        sign, level, left, right = _INFIX[call.op]
        text = _text(call.args[0], left, in_bars) + sign + _text(call.args[1], right, in_bars)
        return text if level >= floor else f"({text})"
    if call.op == "neg" and len(call.args) == 1 and not call.attrs:
        text = "-" + _text(call.args[0], _POWER, in_bars)
        return text if floor <= _UNARY else f"({text})"
    if len(call.args) == 1 and not call.attrs and not in_bars:
        if call.op == "abs":
            return f"|{_text(call.args[0], _SUM, True)}|"
        if call.op in _BARS:
            return f"|{_text(call.args[0], _SUM, True)}|_{_BARS[call.op]}"
    inner = ", ".join(_text(arg, _SUM, in_bars) for arg in call.args)
    # `max` of one argument is a reduction: what is wrong must not be written as what is right.
    word = _SPELLED.get(call.op, call.op) if len(call.args) == 2 else call.op
    return f"{word}{format_attrs(call.attrs)}({inner})"


@dataclass(frozen=True, slots=True)
class Comment:
    """A ``# …`` inside a formula: its text, its place, and whether code stands before it."""

    text: str
    offset: int
    trailing: bool


def terms(expr: Expr) -> list[tuple[str, Expr]]:
    """The terms of a sum with their signs, ``+`` before the first; one term if it is no sum."""
    found: list[tuple[str, Expr]] = []
    while isinstance(expr, Call) and expr.op in ("add", "sub") and not expr.attrs:
        found.append(("+" if expr.op == "add" else "-", expr.args[1]))
        expr = expr.args[0]
    found.append(("+", expr))
    return found[::-1]


def format_item(head: str, expr: Expr, comments: tuple[Comment, ...] = ()) -> str:
    """``head = expression``, flat to 88 columns, else one leading-operator term per line.

    A comment inside the formula forces the broken layout and stays with its term.
    """
    flat = f"{head} = {format_expression(expr)}"
    parts = terms(expr)
    if not comments and (len(flat) <= WIDTH or len(parts) == 1):
        return flat
    above, beside = _place(comments, [part.span for _, part in parts])
    lines = [f"{head} ="]
    for number, (sign, part) in enumerate(parts):
        lines += [INDENT + text for text in above[number]]
        floor = _SUM if number == 0 else _PRODUCT
        text = _text(part, floor, in_bars=False)
        lead = "" if number == 0 else f"{sign} "
        tail = f"  {beside[number]}" if number in beside else ""
        lines.append(f"{INDENT}{lead}{text}{tail}")
    lines += [INDENT + text for text in above[len(parts)]]
    return "\n".join(lines)


def _place(
    comments: tuple[Comment, ...], spans: list[Span]
) -> tuple[list[list[str]], dict[int, str]]:
    """Which comments stand above each term (and below the last), and which beside it."""
    above: list[list[str]] = [[] for _ in range(len(spans) + 1)]
    beside: dict[int, str] = {}
    for comment in comments:
        started = sum(1 for span in spans if span.start < comment.offset)
        term = max(0, started - 1)
        inside = comment.offset < spans[term].end
        if comment.trailing and started and not inside and term not in beside:
            beside[term] = comment.text
        elif inside:
            above[term].append(comment.text)
        else:
            above[started].append(comment.text)
    return above, beside
