"""Rewrites that keep every value bit for bit. Those true only over the reals live in `simplify`."""

from __future__ import annotations

import math
from collections.abc import Callable

from autodas_dsl.compiler import ir
from autodas_dsl.compiler.ir import Node
from autodas_dsl.language.operators import OPERATORS

_ONE = ir.number(1.0)


def rewrite(root: Node) -> Node:
    """Apply all rules bottom-up until none fits; the result is verified."""
    done: dict[Node, Node] = {}
    for node in ir.topological([root]):
        done[node] = _settle(_rebuild(node, tuple(done[arg] for arg in node.args)))
    verify(done[root], root)
    return done[root]


def verify(new: Node, old: Node) -> None:
    """A rewrite keeps the kind; sizes that a requirement makes equal may change their symbols.

    Raises
    ------
    AssertionError
        When a rule is wrong.
    """
    if (new.kind.layers, new.kind.names) != (old.kind.layers, old.kind.names):
        raise AssertionError(f"a rewrite changed {old.kind} to {new.kind}: {old!r} to {new!r}")


def _rebuild(node: Node, args: tuple[Node, ...]) -> Node:
    if args == node.args:
        return node
    if node.op == "flat":
        return ir.flat(args[0])
    if node.op == "unflat":
        return ir.unflat(args[0], args[1])
    return ir.call(node.op, args, node.attrs, node.kind)


def _settle(node: Node) -> Node:
    changed = True
    while changed:
        changed = False
        for rule in RULES:
            new = rule(node)
            if new is not None and new is not node:
                verify(new, node)
                node, changed = new, True
    return node


Rule = Callable[[Node], "Node | None"]


def _is(node: Node, op: str) -> bool:
    return node.op == op


def _double_negation(node: Node) -> Node | None:  # -(-x) -> x
    return node.args[0].args[0] if _is(node, "neg") and _is(node.args[0], "neg") else None


def _abs_of_neg(node: Node) -> Node | None:  # |-x| -> |x|, ||x|| -> |x|
    if _is(node, "abs") and node.args[0].op in ("neg", "abs"):
        return ir.call("abs", node.args[0].args)
    return None


def _unit(node: Node) -> Node | None:  # x * 1, 1 * x, x / 1, x^1 -> x
    if node.op in ("mul", "div", "pow") and node.args[1] is _ONE:
        return node.args[0]
    return node.args[1] if node.op == "mul" and node.args[0] is _ONE else None


def _sub_of_neg(node: Node) -> Node | None:  # x - (-y) -> x + y, x + (-y) -> x - y
    if node.op in ("add", "sub") and _is(node.args[1], "neg"):
        other = "sub" if node.op == "add" else "add"
        return ir.call(other, (node.args[0], node.args[1].args[0]), (), node.kind)
    return None


def _same_norm(node: Node) -> Node | None:  # |x|_2 -> |x|_F
    if _is(node, "norm_2"):
        return ir.call("norm_F", node.args, node.attrs, node.kind)
    return None


def _norm_of_abs(node: Node) -> Node | None:  # |abs(x)|_p, |-x|_p -> |x|_p (entrywise)
    if node.op in ("norm_F", "norm_1", "norm_inf") and node.args[0].op in ("abs", "neg"):
        return ir.call(node.op, node.args[0].args, node.attrs, node.kind)
    return None


def _ordered(node: Node) -> Node | None:  # IEEE addition and multiplication commute
    if node.op in OPERATORS and "commutative" in OPERATORS[node.op].laws and len(node.args) == 2:
        a, b = node.args
        if (a.op == "number", a.digest) > (b.op == "number", b.digest):
            return ir.call(node.op, (b, a), node.attrs, node.kind)
    return None


_FOLD: dict[str, Callable[..., float]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "neg": lambda a: -a,
    "abs": abs,
}


def _constant(node: Node) -> Node | None:  # 2 * 3 -> 6, where the result is finite
    if node.op in _FOLD and node.args and all(_is(a, "number") for a in node.args):
        value = _FOLD[node.op](*(a.value for a in node.args))
        return ir.number(value) if math.isfinite(value) else None
    return None


RULES: tuple[Rule, ...] = (
    _constant, _double_negation, _abs_of_neg, _unit, _sub_of_neg, _same_norm, _norm_of_abs, _ordered,
)  # fmt: skip
