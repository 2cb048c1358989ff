"""Numbers that were computed before, under a byte budget; the least recently used leave first."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor

from autodas_dsl.compiler.ir import Node

_ENTRY = 600  # bytes of a node, a tensor object and a place in the table


class Memo:
    """Node to number, per unit or per network.

    Parameters
    ----------
    budget : int
        Bytes.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._values: OrderedDict[Node, Tensor] = OrderedDict()
        self._bytes = 0

    def __contains__(self, node: Node) -> bool:
        return node in self._values

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, node: Node) -> Tensor:
        self._values.move_to_end(node)
        return self._values[node]

    def add(self, node: Node, value: Tensor) -> None:
        """Keep a value, making room for it."""
        if node in self._values:
            return
        self._values[node] = value
        self._bytes += value.nbytes + _ENTRY
        while self._bytes > self.budget:
            _, old = self._values.popitem(last=False)
            self._bytes -= old.nbytes + _ENTRY
