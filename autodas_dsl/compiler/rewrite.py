"""Rewrites of the IR that keep every value bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from autodas_dsl.compiler import ir
from autodas_dsl.compiler.ir import Node
from autodas_dsl.language.laws import BITWISE_FOLDS, Law, bitwise_laws, fold
from autodas_dsl.language.operators import OPERATORS
from autodas_dsl.language.tree import Call, Expr, Name, Number

Rewrite = Callable[[Node], "Node | None"]


def rewrite(root: Node, rewrites: Sequence[Rewrite]) -> Node:
    """Apply all rewrites bottom-up until none fits; the result is verified."""
    done: dict[Node, Node] = {}
    for node in ir.topological([root]):
        done[node] = _settle(rebuilt(node, tuple(done[arg] for arg in node.args)), rewrites)
    verify(done[root], root)
    return done[root]


def verify(new: Node, old: Node) -> None:
    """A rewrite keeps the kind; sizes that a requirement makes equal may change their symbols.

    Raises
    ------
    AssertionError
        When a law is wrong.
    """
    if (new.kind.layers, new.kind.names) != (old.kind.layers, old.kind.names):
        raise AssertionError(f"a rewrite changed {old.kind} to {new.kind}: {old!r} to {new!r}")


def rebuilt(node: Node, args: tuple[Node, ...]) -> Node:
    """A node over other arguments of the same kinds."""
    if args == node.args:
        return node
    if node.op == "flat":
        return ir.flat(args[0])
    if node.op == "unflat":
        return ir.unflat(args[0], args[1])
    return ir.call(node.op, args, node.attrs, node.kind)


def _settle(node: Node, rewrites: Sequence[Rewrite]) -> Node:
    changed = True
    while changed:
        changed = False
        for each in rewrites:
            new = each(node)
            if new is not None and new is not node:
                verify(new, node)
                node, changed = new, True
    return node


def folded(node: Node) -> Node | None:
    """An operator over numbers as its value: 2 * 3 -> 6."""
    if node.op not in BITWISE_FOLDS or any(arg.op != "number" for arg in node.args):
        return None
    value = fold(node.op, [arg.value for arg in node.args])
    return None if value is None else ir.number(value)


def ordered(node: Node) -> Node | None:
    """The arguments in one order where IEEE arithmetic commutes, numbers last."""
    if node.op in OPERATORS and "commutative" in OPERATORS[node.op].laws and len(node.args) == 2:
        a, b = node.args
        if (a.op == "number", a.digest) > (b.op == "number", b.digest):
            return ir.call(node.op, (b, a), node.attrs, node.kind)
    return None


def by_laws(node: Node) -> Node | None:
    """What the first law that fits makes of a node; it keeps the attributes, such as an axis."""
    for law in _laws().get(node.op, ()):
        bound: dict[str, Node] = {}
        if _fits(law.pattern, node, bound):
            return _filled(law.replacement, bound, node)
    return None


@cache
def _laws() -> dict[str, list[Law]]:
    """The laws that hold bit for bit, by the operator of their pattern."""
    found: dict[str, list[Law]] = {}
    for law in bitwise_laws():
        if isinstance(law.pattern, Call):
            found.setdefault(law.pattern.op, []).append(law)
    return found


def _fits(pattern: Expr, node: Node, bound: dict[str, Node]) -> bool:
    """Whether a pattern fits, argument by argument; letters stand for one node each."""
    if isinstance(pattern, Name):
        return bound.setdefault(pattern.text, node) is node
    if isinstance(pattern, Number):
        return node.op == "number" and node.value == pattern.value
    if not isinstance(pattern, Call) or node.op != pattern.op:
        return False
    return all(_fits(p, arg, bound) for p, arg in zip(pattern.args, node.args, strict=True))


def _filled(template: Expr, bound: dict[str, Node], node: Node) -> Node:
    """A letter or one operator over letters, of the kind of `node`."""
    if isinstance(template, Name):
        return bound[template.text]
    if not isinstance(template, Call):
        raise TypeError(f"the compiler rewrites to letters and operators, not to {template}")
    args = tuple(_filled(arg, bound, node) for arg in template.args)
    return ir.call(template.op, args, node.attrs, node.kind)
