"""What formulas read of the networks: statistics, or values made of them that are collected instead.

``chancov(A)`` of all layers takes kilobytes where ``A`` takes hundreds of megabytes. Which operators
are collected so wherever formulas read no more stands in the entry of the statistic,
`Input.through`. Where one network is scored once, every number that a formula makes of one layer's
tensors can be: ``mean(sum[HW](A * grad A)^2)``. Formulas keep their text and their digest. Where such
a value was not collected, it is made of the statistic.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from autodas_dsl.compiler import ir
from autodas_dsl.compiler.ir import Node
from autodas_dsl.compiler.rewrite import rebuilt, verify
from autodas_dsl.language.inputs import INPUTS, Statistic, kind_of
from autodas_dsl.language.kinds import symbol

SAMPLES = symbol("B")


def needed(roots: Iterable[Node]) -> list[Statistic]:
    """What to collect for formulas, sorted: ``chancov(A)`` and not ``A`` for ``erank(chancov(A))``."""
    return sorted(_read(roots, made_of), key=str)


def needed_by_layer(roots: Collection[Node], beside: Iterable[Statistic] = ()) -> list[Statistic]:
    """The same with what formulas make of each layer's tensors alone in place of the tensors.

    Parameters
    ----------
    roots : collection of Node
    beside : iterable of Statistic
        Collected too: of what is collected whole, nothing is made layer by layer.
    """
    once = _read(roots, lambda node: by_layer(node) or made_of(node))
    whole = {_values(statistic) for statistic in {*once, *beside} if not statistic.through}

    def made(node: Node) -> Statistic | None:
        statistic = by_layer(node)
        return made_of(node) if statistic is None or _values(statistic) in whole else statistic

    return sorted(_read(roots, made), key=str)


def _read(roots: Iterable[Node], made: Callable[[Node], Statistic | None]) -> set[Statistic]:
    found = set()
    for node in ir.topological(roots, lambda node: made(node) is not None):
        statistic = made(node)
        if statistic is not None:
            found.add(statistic)
        elif node.op == "stat":
            found.add(node.statistic)
    return found


def reading(root: Node, held: Collection[Statistic]) -> Node:
    """The formula over what was collected."""
    if not any(statistic.through for statistic in held):
        return root
    places = {s.through: s for s in held if isinstance(s.through, Node)}

    def read(node: Node) -> Statistic | None:
        statistic = places.get(node) or made_of(node)
        return statistic if statistic in held else None

    done: dict[Node, Node] = {}
    for node in ir.topological([root], lambda node: read(node) is not None):
        statistic = read(node)
        done[node] = (
            rebuilt(node, tuple(done[arg] for arg in node.args))
            if statistic is None
            else ir.stat(statistic)
        )
    verify(done[root], root)
    return done[root]


def made_of(node: Node) -> Statistic | None:
    """The statistic that is collected in place of a node and its argument, if one is."""
    if len(node.args) != 1 or node.args[0].op != "stat" or node.attrs:
        return None
    statistic = node.args[0].statistic
    through = INPUTS[statistic.base].through
    return replace(statistic, through=node.op) if node.op in through else None


def by_layer(node: Node) -> Statistic | None:
    """The statistic that can be collected in place of what a node makes of every layer: a number, or
    a matrix of the samples where the node reads one statistic alone."""
    of_samples = bool(node.kind.axes) and all(a.size == SAMPLES for a in node.kind.axes)
    if not node.kind.layers or not (ir.is_measure(node) or of_samples):
        return None
    below = ir.topological([node])
    variable = [one for one in below if one not in ir.constants(below)]
    read = {one.statistic for one in variable if one.op == "stat"}
    if (
        any(not one.kind.layers or made_of(one) for one in variable)
        or not all(map(_is_of_batch, read))
        or len(set(map(_values, read))) > 1
        or (of_samples and len(read) > 1)
    ):
        return None
    return replace(max(read), through=node)  # the gradient, which comes later than the value


def _is_of_batch(statistic: Statistic) -> bool:
    """Whether a statistic is large: it has a number for every sample and layer."""
    axes = kind_of(statistic).axes
    return not statistic.through and any(axis.size == SAMPLES for axis in axes)


def _values(statistic: Statistic) -> Statistic:
    """Of a gradient what it is the gradient of, both without what is made of them."""
    return replace(statistic.whole, prefix="")
