"""Trees that check but say nothing new: the search does not write them.

`abs(abs(x))`, `sigmoid(sigmoid(x))`, a term without a statistic. The laws are those of the
operator table.
"""

from __future__ import annotations

from autodas_dsl.language.inputs import INPUTS
from autodas_dsl.language.operators import OPERATORS
from autodas_dsl.language.tree import Call, Expr, Name, Number, children, walk

SQUASHING = frozenset({"sigmoid", "tanh", "softplus", "mish", "swish"})
GROWING = frozenset({"exp"})
SHRINKING = frozenset({"log", "abslog", "symlog"})
_FAMILIES = (SQUASHING, GROWING, SHRINKING)
_SIGN_ONLY = frozenset({"abs", "neg"})
_HALF_LINE = frozenset({"sqrt", "log"})
_PRESERVING = frozenset({
    "add", "mul", "div", "maximum", "minimum", "sum", "mean", "max", "min", "median", "first",
    "last", "total", "scale", "align", "batch", "channel", "multiscale", "local",
})  # fmt: skip
_SAME_ARGUMENTS = frozenset({"sub", "div", "maximum", "minimum", "add"})


def nested(outer: str, inner: str) -> bool:
    """Whether applying `outer` right after `inner` is redundant or stacks one family."""
    if outer in OPERATORS and inner in OPERATORS:
        laws, inner_laws = OPERATORS[outer].laws, OPERATORS[inner].laws
        if outer == inner and ("idempotent" in laws or "involution" in laws):
            return True
        if outer == "abs" and "nonnegative" in inner_laws:
            return True
        if inner in _SIGN_ONLY and "even" in laws:
            return True
    return any(outer in family and inner in family for family in _FAMILIES)


def redundant(call: Call) -> bool:
    """Whether a call is one that a person would not write over its arguments."""
    inner = call.args
    if any(isinstance(arg, Call) and nested(call.op, arg.op) for arg in inner):
        return True
    if call.op in _SAME_ARGUMENTS and len(inner) == 2 and inner[0] == inner[1]:
        return True
    if call.op == "numel" and isinstance(inner[0], Call):
        return True
    if call.op == "pow":
        return not isinstance(inner[1], Number) or inner[1].value in (0.0, 1.0)
    unit = any(isinstance(arg, Number) and arg.value == 1.0 for arg in inner)
    return call.op == "mul" and unit


def risky(op: str, argument: Expr) -> bool:
    """Whether an operator would often leave its domain: `sqrt` or `log` of what may be negative."""
    return op in _HALF_LINE and not nonnegative(argument)


def nonnegative(expr: Expr) -> bool:
    """Whether a tree is at least 0 whatever the network, as far as its root tells."""
    if isinstance(expr, Number):
        return True
    if isinstance(expr, Name):
        entry = INPUTS.get(expr.text)
        return entry is not None and entry.group == "architecture" and not expr.prefix
    if not isinstance(expr, Call):
        return False
    if expr.op == "pow":
        exponent = expr.args[1]
        return isinstance(exponent, Number) and exponent.value % 2 == 0
    if expr.op in _PRESERVING:
        return all(nonnegative(arg) for arg in expr.args)
    return expr.op in OPERATORS and "nonnegative" in OPERATORS[expr.op].laws


def constant(expr: Expr) -> bool:
    """Whether a tree names no statistic, so that it is a number whatever the network."""
    return not any(isinstance(node, Name) for node in walk(expr))


def plausible(expr: Expr) -> bool:
    """Whether no part of a tree is redundant, and each part but literals names a statistic."""
    return not any(
        isinstance(node, Call) and (redundant(node) or constant(node)) for node in walk(expr)
    ) and bool(children(expr) or isinstance(expr, Name))
