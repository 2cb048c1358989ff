"""What a part of a formula may become: by the table of laws, by what its operators declare.

A law is a proposal here: every use of one is proven on numbers before it is kept. Its pattern is
written in the language itself; its letters stand for parts of a formula:

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
from dataclasses import dataclass

from autodas_dsl.language.kinds import NUMBER
from autodas_dsl.language.laws import Law, fold, operator_laws, ranking_laws, real_laws
from autodas_dsl.language.operators import LAWS, OPERATORS
from autodas_dsl.language.tree import Call, Expr, Name, Number, negated, with_children
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


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a part of a formula may become, and by which law."""

    expr: Expr
    law: str


_COUNTS = frozenset({"params", "flops", "layers", "fan_in", "fan_out", "index", "attn", "S", "Y"})
"""Statistics that are counts, indicators or variances: never negative."""


def proposals(node: Typed) -> Iterator[Proposal]:
    """Everything that a node may become by one law, in a fixed order."""
    if isinstance(node.expr, Call) and (value := folded(node.expr)) != node.expr:
        yield Proposal(value, "arithmetic of constants")
    yield from _by_laws(real_laws(), node)
    yield from _by_laws(operator_laws(), node)
    if isinstance(node.expr, Call) and node.expr.op == "percentile":
        for found in root_proposals(node.children[0]):
            yield Proposal(with_children(node.expr, (found.expr,)), f"percentile: {found.law}")


def root_proposals(node: Typed) -> Iterator[Proposal]:
    """What a score may become when only the ranking matters; below a minus as well."""
    yield from _by_laws(ranking_laws(), node)
    if isinstance(node.expr, Call) and node.expr.op == "neg":
        for found in _by_laws(ranking_laws(), node.children[0]):
            yield Proposal(negated(found.expr), found.law)


def unshifted(expr: Expr) -> Expr:
    """A score without the constants added at its root; on the reals both rank alike."""
    if not isinstance(expr, Call) or expr.attrs:
        return expr
    if expr.op == "neg":
        return negated(unshifted(expr.args[0]))
    if expr.op in ("add", "sub") and literal(expr.args[1]) is not None:
        return unshifted(expr.args[0])
    if expr.op in ("add", "sub") and literal(expr.args[0]) is not None:
        inner = unshifted(expr.args[1])
        return inner if expr.op == "add" else negated(inner)
    if expr.op in ("mul", "div") and literal(expr.args[1]) is not None:
        return with_children(expr, (unshifted(expr.args[0]), expr.args[1]))
    if expr.op == "mul" and literal(expr.args[0]) is not None:
        return with_children(expr, (expr.args[0], unshifted(expr.args[1])))
    return expr


def _by_laws(laws: tuple[Law, ...], node: Typed) -> Iterator[Proposal]:
    for law in laws:
        for bound in match(law.pattern, node, {}):
            if law.nonnegative and not is_nonnegative(bound[law.nonnegative].expr):
                continue
            text = law.text
            if law.declared:
                name = function(bound).op
                if law.declared not in OPERATORS[name].laws:
                    continue
                text = f"{name} is {law.declared}: {LAWS[law.declared]}"
            yield Proposal(fill(law.replacement, bound, folded), text)


def is_nonnegative(expr: Expr) -> bool:
    """Whether a value cannot be negative, as far as the declared laws tell."""
    value = literal(expr)
    if value is not None:
        return value >= 0
    if isinstance(expr, Name):
        return not expr.prefix and expr.text in _COUNTS
    if not isinstance(expr, Call):
        return False
    if "nonnegative" in OPERATORS[expr.op].laws:
        return True
    if expr.op in ("add", "mul", "div", "sum", "mean", "max", "min", "median", "maximum", "total"):
        return all(is_nonnegative(arg) for arg in expr.args)
    return expr.op == "pow" and literal(expr.args[1]) in (2.0, 4.0)


def folded(call: Call) -> Expr:
    """An operator over literals as its value, where that is finite; else the call itself."""
    values = [value for value in map(literal, call.args) if value is not None]
    if call.op == "neg" or call.attrs or len(values) < len(call.args):
        return call
    result = fold(call.op, values)
    if result is None:
        return call
    number = Number(abs(result))
    return Call("neg", (number,)) if result < 0 else number
