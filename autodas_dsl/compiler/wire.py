"""Core trees between processes: flat rows that are interned again on the other side."""

from __future__ import annotations

from collections.abc import Sequence

from autodas_dsl.compiler import ir
from autodas_dsl.compiler.ir import Content, Node
from autodas_dsl.language.kinds import Kind

Row = tuple[str, tuple[int, ...], Content, Kind]
Wire = tuple[tuple[Row, ...], tuple[int, ...]]
"""Nodes, arguments before users and named by their place, and the places of the roots."""


def pack(roots: Sequence[Node]) -> Wire:
    """Plain data that can be pickled."""
    order = ir.topological(roots)
    place = {node: i for i, node in enumerate(order)}
    rows = tuple(
        (node.op, tuple(place[arg] for arg in node.args), node.content, node.kind) for node in order
    )
    return rows, tuple(place[root] for root in roots)


def unpack(wire: Wire) -> list[Node]:
    """The same roots, interned in this process: equal digests, equal values."""
    rows, roots = wire
    nodes: list[Node] = []
    for op, places, content, kind in rows:
        nodes.append(_node(op, tuple(nodes[p] for p in places), content, kind))
    return [nodes[root] for root in roots]


def _node(op: str, args: tuple[Node, ...], content: Content, kind: Kind) -> Node:
    if op == "flat":
        return ir.flat(args[0])
    if op == "unflat":
        return ir.unflat(args[0], args[1])
    if isinstance(content, float):
        return ir.number(content)
    if isinstance(content, tuple):
        return ir.call(op, args, content, kind)
    return ir.stat(content)
