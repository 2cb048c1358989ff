"""What a part of a formula may become: by the table of laws, by what its operators declare.

A law is a proposal here: every use of one is proven on numbers before it is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from autodas_dsl.language.laws import Law, fold, operator_laws, ranking_laws, real_laws
from autodas_dsl.language.operators import LAWS, OPERATORS
from autodas_dsl.language.tree import Call, Expr, Name, Number, negated, with_children
from autodas_dsl.language.typed import Typed
from autodas_dsl.simplify.matching import fill, function, literal, match


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
