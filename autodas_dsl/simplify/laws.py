"""What a part of a formula may become: by the table of laws, by what its operators declare.

A law is a proposal here: every use of one is proven on numbers before it is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from autodas_dsl.language.laws import Law, fold, ranking_laws, real_laws
from autodas_dsl.language.operators import LAWS, OPERATORS
from autodas_dsl.language.tree import Call, Expr, Name, Number, with_children
from autodas_dsl.language.typed import Typed
from autodas_dsl.simplify.matching import fill, literal, match


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
    if isinstance(node.expr, Call):
        laws = OPERATORS[node.expr.op].laws
        for law, propose in _BY_LAW.items():
            if law in laws:
                for expr in propose(node.expr, node):
                    yield Proposal(expr, f"{node.expr.op} is {law}: {LAWS[law]}")
        yield from _merged(node)


def root_proposals(node: Typed) -> Iterator[Proposal]:
    """What a score may become when only the ranking matters; below a minus as well."""
    yield from _by_laws(ranking_laws(), node)
    if isinstance(node.expr, Call) and node.expr.op == "neg":
        for found in _by_laws(ranking_laws(), node.children[0]):
            yield Proposal(negated(found.expr), found.law)


def negated(expr: Expr) -> Expr:
    """``-x``, without two minus signs in a row."""
    if isinstance(expr, Call) and expr.op == "neg":
        return expr.args[0]
    return Call("neg", (expr,))


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
            if not law.nonnegative or is_nonnegative(bound[law.nonnegative].expr):
                yield Proposal(fill(law.replacement, bound, folded), law.text)


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


# --- declared laws ----------------------------------------------------------------------------


def _same(call: Call, inner: Expr) -> Call:
    """The operator over another argument."""
    return Call(call.op, (inner,), call.attrs)


def _unary(node: Typed, op: str) -> Call | None:
    """The argument of a unary call, when it is a call of `op`."""
    if len(node.children) != 1:
        return None
    inner = node.children[0].expr
    return inner if isinstance(inner, Call) and inner.op == op else None


def _idempotent(call: Call, node: Typed) -> Iterator[Expr]:
    inner = _unary(node, call.op)
    if inner is not None and inner.attrs == call.attrs:
        yield inner


def _even(call: Call, node: Typed) -> Iterator[Expr]:
    inner = _unary(node, "neg")
    if inner is not None:
        yield _same(call, inner.args[0])


def _outwards(call: Call, node: Typed) -> Iterator[Expr]:
    """f(-x) = -f(x)."""
    inner = _unary(node, "neg")
    if inner is not None:
        yield negated(_same(call, inner.args[0]))


def _shift(call: Call, node: Typed) -> Iterator[Expr]:
    for op in ("add", "sub"):
        inner = _unary(node, op)
        if inner is None:
            continue
        first, second = node.children[0].children
        if second.member.layers is None and not second.member.axes:
            yield _same(call, first.expr)
        elif first.member.layers is None and not first.member.axes:
            yield _same(call, second.expr if op == "add" else negated(second.expr))


def _factors(node: Typed) -> Iterator[tuple[str, Expr, float, Expr]]:
    """``c * x`` or ``x / c`` under a unary call: operator, literal, its value, x."""
    product, quotient = _unary(node, "mul"), _unary(node, "div")
    if product is not None:
        for factor, rest in (product.args, product.args[::-1]):
            value = literal(factor)
            if value is not None:
                yield "mul", factor, value, rest
    if quotient is not None:
        value = literal(quotient.args[1])
        if value is not None:
            yield "div", quotient.args[1], value, quotient.args[0]


def _scale(call: Call, node: Typed) -> Iterator[Expr]:
    for _, _, value, rest in _factors(node):
        if value > 0:
            yield _same(call, rest)


def _homogeneous(call: Call, node: Typed) -> Iterator[Expr]:
    for op, _, value, rest in _factors(node):
        yield _scaled(op, Number(abs(value)), _same(call, rest))
    yield from _even(call, node)  # the law with c = -1


def _linear(call: Call, node: Typed) -> Iterator[Expr]:
    for op, factor, _, rest in _factors(node):
        yield _scaled(op, factor, _same(call, rest))
    yield from _outwards(call, node)


def _scaled(op: str, factor: Expr, value: Expr) -> Expr:
    return Call("mul", (factor, value)) if op == "mul" else Call("div", (value, factor))


def _zero_on_equal(call: Call, node: Typed) -> Iterator[Expr]:
    if len(call.args) == 2 and call.args[0] == call.args[1]:
        yield Number(0.0)


_BY_LAW: dict[str, Callable[[Call, Typed], Iterator[Expr]]] = {
    "idempotent": _idempotent,
    "even": _even,
    "odd": _outwards,
    "shift-invariant": _shift,
    "scale-invariant": _scale,
    "homogeneous": _homogeneous,
    "linear": _linear,
    "zero-on-equal": _zero_on_equal,
}


def _merged(node: Typed) -> Iterator[Proposal]:
    """f(x) + f(y) = f(x + y) for a linear f."""
    call = node.expr
    assert isinstance(call, Call)
    if call.op not in ("add", "sub"):
        return
    left, right = call.args
    if not isinstance(left, Call) or not isinstance(right, Call) or len(left.args) != 1:
        return
    same = left.op == right.op and left.attrs == right.attrs and left.op != "neg"
    if same and "linear" in OPERATORS[left.op].laws:
        inner = Call(call.op, (left.args[0], right.args[0]))
        yield Proposal(_same(left, inner), f"{left.op} is linear: {LAWS['linear']}")
