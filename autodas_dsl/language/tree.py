"""The surface tree: what a person wrote, with pairs and let names, without layout.

Nodes are immutable and compare by structure; the span of a node takes no part in comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from autodas_dsl.language.operators import Attrs
from autodas_dsl.language.spans import NOWHERE, Span


@dataclass(frozen=True, slots=True)
class Number:
    """A non-negative finite float64; ``-1`` is ``neg`` of ``1``."""

    value: float
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Name:
    """A let name, a statistic or a library proxy: ``F_s[-2]``, ``grad[flow] W``.

    A bare attribute has the key ``""``.
    """

    text: str
    attrs: Attrs = ()
    prefix: str = ""
    prefix_attrs: Attrs = ()
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """An operator applied to arguments; ``a + b`` is ``Call("add", (a, b))``.

    `head` is the place of the name and its attributes, where there is a name.
    """

    op: str
    args: tuple[Expr, ...]
    attrs: Attrs = ()
    span: Span = field(default=NOWHERE, compare=False, repr=False)
    head: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class PairOf:
    """``[a, b]``."""

    first: Expr
    second: Expr
    span: Span = field(default=NOWHERE, compare=False, repr=False)


Expr = Number | Name | Call | PairOf
Path = tuple[int, ...]
"""Child numbers from the root."""
Node = TypeVar("Node")


def children(node: Expr) -> tuple[Expr, ...]:
    if isinstance(node, Call):
        return node.args
    return (node.first, node.second) if isinstance(node, PairOf) else ()


def with_children(node: Expr, new: tuple[Expr, ...]) -> Expr:
    """The same node over other children; the node itself over its own."""
    if all(a is b for a, b in zip(new, children(node), strict=True)):
        return node
    if isinstance(node, Call):
        return replace(node, args=new)
    assert isinstance(node, PairOf)
    return PairOf(new[0], new[1], node.span)


def walk(node: Expr) -> Iterator[Expr]:
    """All nodes, parents before children, left to right; safe for any depth."""
    stack = [node]
    while stack:
        current = stack.pop()
        yield current
        stack.extend(reversed(children(current)))


def postorder(node: Expr) -> list[Expr]:
    """All nodes, children before parents, left to right; safe for any depth."""
    order: list[Expr] = []
    stack = [node]
    while stack:
        order.append(stack.pop())
        stack.extend(children(order[-1]))
    return order[::-1]


def topological(roots: Iterable[Node], below: Callable[[Node], Sequence[Node]]) -> list[Node]:
    """All nodes below the roots of a graph, arguments before users, each once, in a stable order.

    Parameters
    ----------
    roots : iterable of nodes
    below : callable
        The arguments of a node.
    """
    order: list[Node] = []
    seen: set[Node] = set()
    stack = [(root, False) for root in reversed(list(roots))]
    while stack:
        node, ready = stack.pop()
        if ready:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((part, False) for part in reversed(below(node)) if part not in seen)
    return order


def transform(node: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """Rebuild a tree bottom-up through `change`."""
    new = tuple(transform(child, change) for child in children(node))
    return change(with_children(node, new))


def negated(node: Expr) -> Expr:
    """``-x``, without two minus signs in a row."""
    if isinstance(node, Call) and node.op == "neg":
        return node.args[0]
    return Call("neg", (node,))


def signed(value: float) -> Expr:
    """A number, or the negative of one."""
    number = Number(abs(value))
    return Call("neg", (number,)) if value < 0 else number


def put(node: Expr, path: Path, new: Expr) -> Expr:
    """The tree with another part at a path."""
    if not path:
        return new
    parts = list(children(node))
    parts[path[0]] = put(parts[path[0]], path[1:], new)
    return with_children(node, tuple(parts))


def moved(node: Expr, by: int) -> Expr:
    """The tree at another place of a text."""

    def move(node: Expr) -> Expr:
        if isinstance(node, Call) and node.head is not None:
            return replace(node, span=node.span.moved(by), head=node.head.moved(by))
        return replace(node, span=node.span.moved(by))

    return transform(node, move)


def complexity(node: Expr) -> int:
    """Number of nodes; attributes are free."""
    return sum(1 for _ in walk(node))


def depth(node: Expr) -> int:
    """Nodes on the longest path from the root; safe for any depth."""
    deepest = 0
    stack = [(node, 1)]
    while stack:
        current, level = stack.pop()
        deepest = max(deepest, level)
        stack.extend((child, level + 1) for child in children(current))
    return deepest
