"""Text to surface tree: limits, Lark, diagnostics for syntax errors."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

import lark
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken

from autodas_dsl.language import tree
from autodas_dsl.language.errors import Fault, FormulaError
from autodas_dsl.language.faults import (
    unexpected_character,
    unexpected_token,
    without_comments,
)
from autodas_dsl.language.operators import ALIASES, BINARY, NORM_MARKS, OPERATORS, Attrs, Value
from autodas_dsl.language.parser_tables import parser
from autodas_dsl.language.spans import Source, Span

MAX_EXPRESSION_BYTES = 64 * 1024
MAX_TOKENS = 4096
MAX_DEPTH = 200

SUPERSCRIPTS = {"²": 2.0, "³": 3.0, "⁴": 4.0}
_POWERS = {"pow2": 2.0, "pow4": 4.0}
SHORTHANDS = (*_POWERS, "noop")
"""Words that become something else, and that are in no table."""
_NESTING = {"(": 1, "[": 1, ")": -1, "]": -1}
_TOKEN = re.compile(r"[\w.]+|[^\w\s]")
_TOO_DEEP = f"the expression is nested deeper than {MAX_DEPTH}"
_NAME_PARTS = "name inner parts with let; each term of a sum counts"


def parse(text: str, name: str = "<formula>") -> tree.Expr:
    """Parse one expression.

    Parameters
    ----------
    text : str
    name : str
        What diagnostics call the text.

    Returns
    -------
    Expr
        The surface tree, unchecked.

    Raises
    ------
    FormulaError
        With one diagnostic that points at the place.
    """
    try:
        return parse_expression(text)
    except Fault as fault:
        raise FormulaError([fault.diagnostic], Source(name, text)) from None


def parse_expression(text: str) -> tree.Expr:
    """As `parse`, for callers that report faults themselves.

    Raises
    ------
    Fault
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_EXPRESSION_BYTES:
        raise Fault("E101", "the expression is longer than 64 KiB", Span(0, 1))
    try:
        _hold_to_limits(text)
        parsed = parser().parse(text)
    except UnexpectedCharacters as error:
        raise unexpected_character(text, error.pos_in_stream or 0) from None
    except (UnexpectedToken, UnexpectedEOF) as error:
        raise unexpected_token(text, error) from None
    return _build(parsed, text)


def _hold_to_limits(text: str) -> None:
    """Count words, signs and brackets before the parser sees the text."""
    level = 0
    for tokens, found in enumerate(_TOKEN.finditer(without_comments(text)), 1):
        level += _NESTING.get(found.group(), 0)
        if tokens > MAX_TOKENS:
            raise Fault("E102", f"the expression has more than {MAX_TOKENS} tokens",
                              Span(*found.span()))  # fmt: skip
        if level > MAX_DEPTH:
            raise Fault("E103", _TOO_DEEP, Span(*found.span()), _NAME_PARTS)


# --- from Lark's tree to ours -----------------------------------------------------------------


def _build(parsed: Any, text: str) -> tree.Expr:
    """Bottom-up over an explicit stack, so that a chain of 2,000 sums is no recursion."""
    order: list[Any] = []
    stack = [parsed]
    while stack:
        node = stack.pop()
        order.append(node)
        stack.extend(_operands(node))
    built: dict[int, tree.Expr] = {}
    levels: dict[int, int] = {}
    for node in reversed(order):
        levels[id(node)] = 1 + max((levels[id(c)] for c in _operands(node)), default=0)
        if levels[id(node)] > MAX_DEPTH:
            raise Fault("E103", _TOO_DEEP, _span(node), _NAME_PARTS)
        built[id(node)] = _node(node, built, text)
    return built[id(parsed)]


def _operands(node: Any) -> list[Any]:
    """The children that are expressions themselves."""
    if node.data in ("name", "number", "derived", "partial"):
        return []
    first = 1 if node.data == "call" else 0
    return [child for child in node.children[first:] if isinstance(child, lark.Tree)]


def _span(node: Any) -> Span:
    return Span(node.meta.start_pos, node.meta.end_pos)


def _node(node: Any, built: dict[int, tree.Expr], text: str) -> tree.Expr:
    span, kind = _span(node), str(node.data)
    if kind == "number":
        return tree.Number(_number(node.children[0]), span)
    if kind == "name":
        word, attrs = _name(node)
        return tree.Name(word, attrs, span=span)
    if kind in ("derived", "partial"):
        return _derived(node, span, kind)
    if kind == "call":
        return _call(node, built, span)
    args = tuple(built[id(child)] for child in _operands(node))
    if kind == "pair":
        return tree.PairOf(args[0], args[1], span)
    if kind == "superscript":
        mark = node.children[1]
        exponent = tree.Number(SUPERSCRIPTS[mark], Span(mark.start_pos, mark.end_pos))
        return tree.Call("pow", (args[0], exponent), span=span)
    if kind in ("abs", "norm"):
        _no_double_bars(text, span, args[0])
    if kind == "norm":
        mark = str(node.children[-1])[1:]
        return tree.Call(NORM_MARKS[mark] if mark else ALIASES["norm"], args, span=span)
    return tree.Call("sqrt" if kind == "root" else kind, args, span=span)


def _no_double_bars(text: str, span: Span, inside: tree.Expr) -> None:
    if text.startswith("||", span.start) and isinstance(inside, tree.Call):
        bars = inside.op in OPERATORS and OPERATORS[inside.op].text.startswith("|")
        if bars and inside.span.start == span.start + 1:
            raise Fault(
                "E106", "bars directly inside bars can be read in two ways",
                Span(span.start, span.start + 2), "write |x|_F, or |abs(W)|_*",
            )  # fmt: skip


def _number(token: Any) -> float:
    value = float(token)
    if not math.isfinite(value):
        raise Fault(
            "E105", f"the number {token} is too large for float64",
            Span(token.start_pos, token.end_pos), "the largest is about 1.8e308",
        )  # fmt: skip
    return value


def _name(node: Any) -> tuple[str, Attrs]:
    word = plain(str(node.children[0]))
    return word, tuple(_attr(child) for child in node.children[1:])


def plain(word: str) -> str:
    """A word without subscript letters: ``F_s`` for ``Fₛ``."""
    for mark, letter in (("ₛ", "s"), ("ₜ", "t")):
        word = word.replace(f"_{mark}", f"_{letter}").replace(mark, f"_{letter}")
    return word


def _attr(node: Any) -> tuple[str, Value]:
    value = node.children[-1]
    if node.data == "keyed":
        return str(node.children[0]), _value(value)
    return "", _value(value)


def _value(node: Any) -> Value:
    token = node.children[0]
    if node.data == "word":
        return plain(str(token))
    return -_number(token) if node.data == "minus" else _number(token)


def _derived(node: Any, span: Span, kind: str) -> tree.Name:
    parts = [child for child in node.children if isinstance(child, lark.Tree)]
    word, attrs = _name(parts[-1])
    if kind == "partial":
        return tree.Name(word, attrs, "grad", (), span)
    prefix, prefix_attrs = _name(parts[0])
    if prefix not in ("grad", "hess"):
        end = _span(parts[0]).end
        raise Fault(
            "E107", f"expected an operator between `{prefix}` and `{word}`",
            Span(end, _span(parts[1]).start), "only grad and hess stand before a name",
        )  # fmt: skip
    return tree.Name(word, attrs, prefix, prefix_attrs, span)


def _call(node: Any, built: dict[int, tree.Expr], span: Span) -> tree.Expr:
    word, attrs = _name(node.children[0])
    args = tuple(built[id(child)] for child in _operands(node))
    return named_call(word, args, attrs, span, _span(node.children[0]))


def named_call(
    word: str, args: Sequence[tree.Expr], attrs: Attrs, span: Span, head: Span
) -> tree.Expr:
    """The tree of ``word[attrs](args)``: aliases, powers, two-argument max and min, noop."""
    if word == "noop" and len(args) == 1 and not attrs:
        return args[0]
    if word in _POWERS and len(args) == 1 and not attrs:
        return tree.Call("pow", (args[0], tree.Number(_POWERS[word], span)), span=span)
    op = ALIASES.get(word, word)
    if len(args) == 2:
        op = BINARY.get(op, op)
    return tree.Call(op, tuple(args), attrs, span, head)
