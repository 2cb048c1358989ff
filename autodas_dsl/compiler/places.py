"""Where values live: the domains that formulas are evaluated in, and how big their blocks are.

A domain is a set of units: the layers of all networks (``lin``, ``act``, ``bn``), the networks
(``net``) or the one teacher (``teacher``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from autodas_dsl.compiler.ir import Node
from autodas_dsl.language.inputs import Statistic, kind_of

NET = "net"
TEACHER = "teacher"
WEIGHTS = Statistic("W")
UNIT = 0  # the tier whose blocks hold one unit each


class Places(Protocol):
    """What a plan must know about the statistics at hand."""

    def domain(self, statistic: Statistic) -> str:
        """Lists of one kind that differ in length are different domains."""
        ...

    def is_finite(self, statistic: Statistic) -> bool:
        """Whether every value of a statistic is known to be finite."""
        ...

    def grows(self, node: Node, sources: Iterable[Node]) -> bool:
        """Whether a value is much larger than the statistics that are read beside it."""
        ...


class Anywhere:
    """Places when no networks are at hand: by kind, with every statistic finite."""

    def domain(self, statistic: Statistic) -> str:
        return usual_domain(statistic)

    def is_finite(self, statistic: Statistic) -> bool:
        return True

    def grows(self, node: Node, sources: Iterable[Node]) -> bool:
        return more_axes(node, sources)


def more_axes(node: Node, sources: Iterable[Node]) -> bool:
    """Whether a value has more axes than any of the statistics."""
    return len(node.kind.axes) > max((len(s.kind.axes) for s in sources), default=0)


def usual_domain(statistic: Statistic) -> str:
    """The domain of a statistic as far as its name tells."""
    layers = kind_of(statistic).layers
    if layers is not None:
        return layers
    return TEACHER if statistic.name.endswith("_t") or statistic.name == "Y" else NET


def tier_of(statistics: Iterable[Statistic]) -> int:
    """Which blocks suit values made of these statistics: those of matrices hold more units than
    those of maps."""
    return max((len(kind_of(s).axes) for s in statistics), default=UNIT)
