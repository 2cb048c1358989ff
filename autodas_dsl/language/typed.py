"""The typed tree: what checking makes of a formula, and what everything else reads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from autodas_dsl.language import tree
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.language.kinds import AnyKind, Kind, Pair, Requirement
from autodas_dsl.language.operators import Attrs
from autodas_dsl.language.tree import Expr, with_children

MAX_NODES = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Typed:
    """A node of a formula that checks: what was written, its kind, and what it means.

    A name shows the value that it stands for as its `body`, one object however often it is named;
    a printer writes the name, `value` looks through it. Nodes are equal only to themselves.

    Parameters
    ----------
    expr : Expr
        The surface node, with its span.
    kind : Kind or Pair
    children : tuple of Typed
        Of a call or a pair.
    statistic : Statistic or None
        What the name of a statistic denotes.
    values : attributes
        Of a call: all of them, checked, with defaults filled in.
    needs : tuple of Requirement
        What this call asks of the networks.
    body : Typed or None
        What the name of a let or of a library proxy stands for.
    is_proxy : bool
        Whether it is the name of a library proxy.
    """

    expr: Expr
    kind: AnyKind
    children: tuple[Typed, ...] = ()
    statistic: Statistic | None = None
    values: Attrs = ()
    needs: tuple[Requirement, ...] = ()
    body: Typed | None = None
    is_proxy: bool = False

    @property
    def member(self) -> Kind:
        """The kind, or that of the first member where the node is a pair."""
        return self.kind.first if isinstance(self.kind, Pair) else self.kind

    def value(self, proxies: bool = True) -> Typed:
        """The node behind the name of a let, and of a library proxy unless `proxies` is False."""
        node = self
        while node.body is not None and (proxies or not node.is_proxy):
            node = node.body
        return node


@dataclass(frozen=True)
class TypedFormula:
    """A formula that checks: its lets in the order of definition, and its score."""

    lets: tuple[tuple[str, Typed], ...]
    score: Typed

    @cached_property
    def values(self) -> list[Typed]:
        """All values, those of lets first, arguments before users."""
        return topological(*(body for _, body in self.lets), self.score)

    @cached_property
    def statistics(self) -> frozenset[Statistic]:
        return frozenset(node.statistic for node in self.values if node.statistic is not None)

    @cached_property
    def requirements(self) -> tuple[Requirement, ...]:
        """What the formula asks of the networks, each once, in the order of evaluation."""
        return tuple(dict.fromkeys(needed for node in self.values for needed in node.needs))


def topological(*roots: Typed, proxies: bool = True) -> list[Typed]:
    """All values below some nodes, arguments before users, each once; names are looked through."""
    return tree.topological(
        [root.value(proxies) for root in roots],
        lambda node: [child.value(proxies) for child in node.children],
    )


def inlined(root: Typed, proxies: bool = True) -> Expr:
    """A formula without lets: what they, and library proxies, stand for in their places.

    Parameters
    ----------
    root : Typed
    proxies : bool
        False leaves the names of library proxies where they are.

    Raises
    ------
    InputError
        E811 when the result would have more than 4,096 nodes: lets that double each other.
    """
    sizes: dict[Typed, int] = {}
    trees: dict[Typed, Expr] = {}
    for node in topological(root, proxies=proxies):
        parts = [child.value(proxies) for child in node.children]
        sizes[node] = 1 + sum(sizes[part] for part in parts)
        if sizes[node] > MAX_NODES:
            raise InputError("E811", f"the formula has more than {MAX_NODES} nodes with its lets "
                             "put in their places", "simplify its parts one by one")  # fmt: skip
        trees[node] = with_children(node.expr, tuple(trees[part] for part in parts))
    return trees[root.value(proxies)]
