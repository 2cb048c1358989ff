"""Typed tree to core DAG: lets and library proxies looked through, pairs taken apart."""

from __future__ import annotations

from autodas_dsl.compiler import ir
from autodas_dsl.compiler.ir import Node
from autodas_dsl.language.kinds import Kind
from autodas_dsl.language.library import typed
from autodas_dsl.language.operators import OPERATORS, Attrs, Operator
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.language.tree import Call, Expr, Number, PairOf
from autodas_dsl.language.typed import Typed, topological

Lowered = Node | tuple[Node, Node]


def lower(formula: Proxy | Expr | Typed) -> Node:
    """The core DAG of a formula.

    Parameters
    ----------
    formula : Proxy, Expr or Typed
        A document, or an expression, of any kind but a pair.

    Raises
    ------
    FormulaError
        When it does not check.
    """
    root = formula if isinstance(formula, Typed) else typed(formula).score
    done: dict[Typed, Lowered] = {}
    for node in topological(root):
        done[node] = _lower(node, [done[child.value()] for child in node.children])
    lowered = done[root.value()]
    if isinstance(lowered, tuple):
        raise TypeError("a pair is no score")
    return lowered


def _lower(node: Typed, args: list[Lowered]) -> Lowered:
    if isinstance(node.expr, Number):
        return ir.number(node.expr.value)
    if node.statistic is not None:
        return ir.stat(node.statistic)
    members = [[arg[m] if isinstance(arg, tuple) else arg for arg in args] for m in (0, 1)]
    if isinstance(node.expr, PairOf):
        return members[0][0], members[1][1]
    assert isinstance(node.expr, Call)
    entry = OPERATORS[node.expr.op]
    if isinstance(node.kind, Kind):
        both = entry.is_distance and len(args) == 1
        return _apply(
            entry, members[0] + members[1] if both else members[0], node.values, node.kind
        )
    kinds = (node.kind.first, node.kind.second)
    if entry.aligns:  # the second argument says against what to pool
        a, b = members[0][0], members[1][0]
        return (
            ir.call(entry.name, (a, b), node.values, kinds[0]),
            ir.call(entry.name, (b, a), node.values, kinds[1]),
        )
    return (
        _apply(entry, members[0], node.values, kinds[0]),
        _apply(entry, members[1], node.values, kinds[1]),
    )


def _apply(entry: Operator, args: list[Node], attrs: Attrs, kind: Kind) -> Node:
    """One operator on nodes, with the positions of maps flattened where its signature needs it."""
    if _flattens(entry, args):
        args = [ir.flat(arg) for arg in args]
    if not entry.is_reduction and ("axis", "HW") in attrs and "H" in args[0].kind.names:
        flattened = ir.call(entry.name, tuple(ir.flat(arg) for arg in args), attrs)
        return flattened if entry.is_distance else ir.unflat(flattened, args[0])
    return ir.call(entry.name, tuple(args), attrs, kind)


def _flattens(entry: Operator, args: list[Node]) -> bool:
    if entry.signature == "a, b -> a @ b":
        return True
    if len(args) == 2 and all(arg.kind.axes for arg in args):
        return len({"R" in arg.kind.names for arg in args}) == 2
    return entry.left in ("i", "i i", "i j")
