"""When two formulas are the same formula."""

from __future__ import annotations

from autodas_dsl.evolution.pairs import in_step
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.language.tree import Call, Expr, Number, negated
from autodas_dsl.language.typed import inlined


def written_out(proxy: Proxy) -> Expr:
    """The score of a document as one tree: lets and library proxies written out, pairs in step."""
    return in_step(inlined(proxy.typed().score))


def oriented(expr: Expr, sign: float) -> Expr:
    """The formula with a leading minus when lower scores are better; never a double one."""
    return expr if sign > 0 else negated(expr)


def unsigned(expr: Expr) -> Expr:
    """The formula without factors and signs at its root that change no ranking up to reversal."""
    while isinstance(expr, Call):
        first, last = expr.args[0], expr.args[-1]
        if expr.op == "neg" or (expr.op in ("mul", "div", "add", "sub") and _fixed(last)):
            expr = first
        elif expr.op in ("mul", "add", "sub") and _fixed(first):
            expr = last
        else:
            break
    return expr


def _fixed(expr: Expr) -> bool:
    return isinstance(expr, Number) and expr.value != 0


def settled(expr: Expr) -> Expr:
    """The form in which the search holds a formula: pairs in step, no idle factor at the root."""
    return unsigned(in_step(expr))
