"""What formulas read of the networks: statistics, or values made of them that are collected instead.

``chancov(A)`` of all layers takes kilobytes where ``A`` takes hundreds of megabytes. Which operators
are collected so stands in the entry of the statistic, `Input.through`; formulas keep their text and
their digest. Where such a value was not collected, it is made of the statistic.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from autodas_dsl.compiler import ir
from autodas_dsl.compiler.ir import Node
from autodas_dsl.compiler.rewrite import rewrite
from autodas_dsl.language.inputs import INPUTS, Statistic


def needed(roots: Iterable[Node]) -> list[Statistic]:
    """What to collect for formulas, sorted: ``chancov(A)`` and not ``A`` for ``erank(chancov(A))``."""
    found = set()
    for node in ir.topological(roots, lambda node: made_of(node) is not None):
        statistic = made_of(node)
        if statistic is not None:
            found.add(statistic)
        elif node.op == "stat":
            found.add(node.statistic)
    return sorted(found, key=str)


def reading(root: Node, held: Collection[Statistic]) -> Node:
    """The formula over what was collected."""
    if not any(statistic.through for statistic in held):
        return root

    def read(node: Node) -> Node | None:
        statistic = made_of(node)
        return ir.stat(statistic) if statistic is not None and statistic in held else None

    return rewrite(root, (read,))


def made_of(node: Node) -> Statistic | None:
    """The statistic that is collected in place of a node and its argument, if one is."""
    if len(node.args) != 1 or node.args[0].op != "stat" or node.attrs:
        return None
    statistic = node.args[0].statistic
    through = INPUTS[statistic.base].through
    return replace(statistic, through=node.op) if node.op in through else None
