"""Pairs in step: the student's side of a comparison is the teacher's with the names swapped.

``KL(sigmoid(F_s), sigmoid(F_t))`` means what ``KL(sigmoid([F_s, F_t]))`` means. The second form has
one place to vary instead of two that must stay equal, so the search works on it.
"""

from __future__ import annotations

from dataclasses import replace

from autodas_dsl.language.inputs import INPUTS
from autodas_dsl.language.operators import OPERATORS
from autodas_dsl.language.tree import Call, Expr, Name, PairOf, transform, walk

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
