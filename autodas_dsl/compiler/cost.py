"""What a formula would cost, from the sizes of its values alone: searches leave the worst out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from torch import Tensor

from autodas_dsl.compiler.ir import Node, topological
from autodas_dsl.language.inputs import Statistic, kind_of
from autodas_dsl.language.kinds import Axis
from autodas_dsl.language.operators import OPERATORS

Entry = Tensor | tuple[Tensor, ...]

MOST_VALUES = 1 << 22  # of one tensor of one network or layer
MOST_WORK = 1 << 25  # rows * columns * the smaller of them, for a decomposition


class Costs:
    """Sizes of a table's networks, as upper bounds.

    Parameters
    ----------
    networks : iterable of mappings
        The statistics of each.
    """

    def __init__(self, networks: Iterable[Mapping[Statistic, Entry]]) -> None:
        self._sizes: dict[str, int] = {}
        self._collected: set[tuple[str, ...]] = set()  # axes of what is in memory anyway
        for network in networks:
            for statistic, value in network.items():
                entries = (value,) if isinstance(value, Tensor) else value
                axes = kind_of(statistic).axes
                self._collected.add(_symbols(axes))
                for entry in entries if axes else ():
                    for axis, length in zip(axes, entry.shape, strict=True):
                        symbol = str(axis.size)
                        self._sizes[symbol] = max(self._sizes.get(symbol, 0), length)
        self._known: dict[Node, str] = {}
        self._values: dict[Node, int] = {}

    def excess(self, root: Node) -> str:
        """Why a formula is too much work for a search; empty where it is not."""
        for node in topological([root]):
            if node not in self._known:
                self._known[node] = self._own_excess(node)
            if self._known[node]:
                return self._known[node]
        return ""

    def values(self, node: Node) -> int:
        """How many values the largest tensor of a node has, in one network or layer."""
        if node not in self._values:
            self._values[node] = math.prod(self._shape(node))
        return self._values[node]

    def _own_excess(self, node: Node) -> str:
        shown = " by ".join(map(str, self._shape(node)))
        if self.values(node) > MOST_VALUES and _symbols(node.kind.axes) not in self._collected:
            return f"`{node.op}` gives {shown} values, too many for a search"
        if node.op in OPERATORS and OPERATORS[node.op].group == "spectral" and node.op != "prank":
            rows, columns = self._shape(node.args[0])[:2]
            if rows * columns * min(rows, columns) > MOST_WORK:
                return f"`{node.op}` of {rows} by {columns} values, too much work for a search"
        return ""

    def _shape(self, node: Node) -> list[int]:
        """Sizes of a value's axes; 1 where a size is known only when it is computed."""
        return [
            axis.size.evaluate(self._sizes) if axis.size.symbols() <= self._sizes.keys() else 1
            for axis in node.kind.axes
        ]


def _symbols(axes: Iterable[Axis]) -> tuple[str, ...]:
    return tuple(sorted(str(axis.size) for axis in axes))
