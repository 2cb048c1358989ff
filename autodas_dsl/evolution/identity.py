"""When two formulas are the same formula; pairs in step.

``KL(sigmoid(F_s), sigmoid(F_t))`` means what ``KL(sigmoid([F_s, F_t]))`` means, where the student's
side of a comparison is the teacher's with the names swapped. The second form has one place to vary
instead of two that must stay equal, so the search works on it.
"""

from __future__ import annotations

from dataclasses import replace

from autodas_dsl.language.inputs import INPUTS
from autodas_dsl.language.operators import OPERATORS
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.language.tree import Call, Expr, Name, Number, PairOf, negated, transform, walk
from autodas_dsl.language.typed import inlined

_SIDES = {"_s": "_t", "_t": "_s"}


def side(name: Name) -> str:
    """``"_s"`` for a student's statistic that a teacher has too, ``"_t"`` for a teacher's."""
    ending = name.text[-2:]
    if ending not in _SIDES:
        return ""
    base = f"{name.prefix} {name.text}" if name.prefix else name.text
    return ending if base in INPUTS else ""


def twin(name: Name) -> Name:
    """The same statistic of the other network; the name itself where there is none."""
    ending = side(name)
    return replace(name, text=name.text[:-2] + _SIDES[ending]) if ending else name


def swapped(expr: Expr) -> Expr:
    """The tree with student and teacher exchanged."""
    return transform(expr, lambda node: twin(node) if isinstance(node, Name) else node)


def is_leaf_pair(expr: Expr) -> bool:
    """``[F_s, F_t]``: one statistic of both networks, varied as a whole."""
    return (
        isinstance(expr, PairOf)
        and isinstance(expr.first, Name)
        and side(expr.first) == "_s"
        and expr.second == twin(expr.first)
    )


def paired(expr: Expr) -> Expr:
    """The student's tree with every statistic that the teacher has replaced by its pair."""

    def change(node: Expr) -> Expr:
        return PairOf(node, twin(node)) if isinstance(node, Name) and side(node) else node

    return transform(expr, change)


def in_step(expr: Expr) -> Expr:
    """The same formula with its comparisons written over leaf pairs wherever that is possible."""
    return transform(expr, _lifted)


def _lifted(node: Expr) -> Expr:
    if isinstance(node, PairOf) and _twins(node.first, node.second):
        return node if is_leaf_pair(node) else paired(node.first)
    if isinstance(node, Call) and len(node.args) == 2 and _is_distance(node):
        first, second = node.args
        return replace(node, args=(paired(first),)) if _twins(first, second) else node
    return node


def _is_distance(call: Call) -> bool:
    return call.op in OPERATORS and OPERATORS[call.op].is_distance


def _twins(first: Expr, second: Expr) -> bool:
    """Whether `first` is about the student alone and `second` is the same about the teacher."""
    sides = {side(node) for node in walk(first) if isinstance(node, Name)}
    whole = not any(isinstance(node, PairOf) for node in walk(first))
    return whole and "_s" in sides and "_t" not in sides and swapped(first) == second


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
