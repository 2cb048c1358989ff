"""Patterns over surface trees, written in the language itself.

The letters of a pattern stand for parts of a formula:

``x y z``
    anything;
``m n``
    one number, such as a constant or a sum over everything;
``c d``
    a literal, or the negative of one;
``p q``
    a positive literal;
``f``
    an operator with its attributes.

The same letter twice stands for equal parts. A sum, product, maximum or minimum also matches with
its sides exchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from autodas_dsl.language.kinds import NUMBER
from autodas_dsl.language.operators import OPERATORS
from autodas_dsl.language.tree import Call, Expr, Name, Number
from autodas_dsl.language.typed import Typed

Bindings = Mapping[str, Typed]


def literal(expr: Expr) -> float | None:
    """The value of a number or of the negative of one."""
    if isinstance(expr, Number):
        return expr.value
    if isinstance(expr, Call) and expr.op == "neg" and isinstance(expr.args[0], Number):
        return -expr.args[0].value
    return None


def _is_positive(node: Typed) -> bool:
    value = literal(node.expr)
    return value is not None and value > 0


_FITS: dict[str, Callable[[Typed], bool]] = {
    **dict.fromkeys("xyz", lambda node: True),
    **dict.fromkeys("mn", lambda node: node.kind == NUMBER),
    **dict.fromkeys("cd", lambda node: literal(node.expr) is not None),
    **dict.fromkeys("pq", _is_positive),
}


def match(pattern: Expr, node: Typed, bound: Bindings) -> Iterator[Bindings]:
    """Every way in which a pattern fits a node."""
    if isinstance(pattern, Name) and pattern.text in _FITS:
        yield from _letter(pattern.text, node, bound)
    elif isinstance(pattern, Call) and isinstance(node.expr, Call):
        if pattern.op == "f":
            bound = {"f": node, **bound}  # the first that it stood for
        own, call = _instance(pattern, bound), node.expr
        if (own.op, own.attrs, len(own.args)) == (call.op, call.attrs, len(call.args)):
            yield from _arguments(own, node, bound)
    elif pattern == node.expr:
        yield bound


def function(bound: Bindings) -> Call:
    """The call of what ``f`` stands for."""
    call = bound["f"].expr
    assert isinstance(call, Call)
    return call


def _instance(pattern: Call, bound: Bindings) -> Call:
    if pattern.op != "f":
        return pattern
    return Call(function(bound).op, pattern.args, function(bound).attrs)


def _arguments(pattern: Call, node: Typed, bound: Bindings) -> Iterator[Bindings]:
    yield from _sequence(pattern.args, node.children, bound)
    entry = OPERATORS[pattern.op]
    if "commutative" in entry.laws and len(pattern.args) == 2:
        yield from _sequence(pattern.args, node.children[::-1], bound)


def _sequence(
    patterns: tuple[Expr, ...], nodes: tuple[Typed, ...], bound: Bindings
) -> Iterator[Bindings]:
    if not patterns:
        yield bound
        return
    for found in match(patterns[0], nodes[0], bound):
        yield from _sequence(patterns[1:], nodes[1:], found)


def _letter(letter: str, node: Typed, bound: Bindings) -> Iterator[Bindings]:
    if letter in bound:
        if bound[letter].expr == node.expr:
            yield bound
        return
    if _FITS[letter](node):
        yield {**bound, letter: node}


def fill(template: Expr, bound: Bindings, finish: Callable[[Call], Expr]) -> Expr:
    """A replacement with its letters filled in; `finish` is applied to each call it adds."""
    if isinstance(template, Name) and template.text in bound:
        return bound[template.text].expr
    if isinstance(template, Call):
        args = tuple(fill(arg, bound, finish) for arg in template.args)
        return finish(_instance(Call(template.op, args, template.attrs), bound))
    return template
