"""What is made of the tensors of a pass as they come by, layer after layer, so that none is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from torch import Tensor, nn

from autodas_dsl.compiler import ir, kernels, pipeline
from autodas_dsl.compiler.ir import Node
from autodas_dsl.compiler.layout import BLOCK, Layout, Placement
from autodas_dsl.compiler.memo import Memo
from autodas_dsl.compiler.outcome import ShapeMismatch
from autodas_dsl.language.inputs import Statistic, kind_of
from autodas_dsl.language.operators import OPERATORS
from autodas_dsl.statistics.capture import Passed, units
from autodas_dsl.statistics.layers import Layer
from autodas_dsl.statistics.network import Network

Entries = Mapping[Statistic, Tensor]
"""The tensors of one layer."""

Maker = Callable[[Sequence[Entries]], Sequence[Tensor]]
"""What a statistic is in some layers."""

Unit = Callable[[object, Tensor], "Tensor | None"]
"""The entry of a layer list, ``[B, C, R]``, that a tensor of a module or layer is, or None."""

SEEN_BY = {
    "A": "outputs", "grad A": "outputs", "X": "inputs", "grad X": "passed inputs",
    "Z": "module outputs", "H": "attention", "grad H": "attention",
}  # fmt: skip
"""The hook, of `forward.HOOKS`, that sees the tensors of a statistic or of what it is a gradient of."""


@dataclass(frozen=True)
class Makers:
    """What is made of the tensors that one hook sees, and of their gradients."""

    values: dict[Statistic, Maker] = field(default_factory=dict)
    gradients: dict[Statistic, Maker] = field(default_factory=dict)

    def passed(self, unit: Unit, source: object, tensor: Tensor) -> Passed:
        """What is left of a tensor that the hook saw at a module or layer."""
        empty = torch.empty_strided(
            tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta"
        )
        left = empty.as_subclass(Passed)
        left.source, left.made = source, {}
        left.followed = tensor if self.gradients else None
        entry = unit(source, tensor.detach())
        if entry is not None:
            for statistic, maker in self.values.items():
                left.made[statistic] = _made(statistic, maker, {statistic.whole: entry})
        return left

    def returned(self, unit: Unit, left: Passed, gradient: Tensor) -> None:
        """Complete what is left of a tensor, whose gradient is there."""
        assert left.followed is not None
        value, slope = (unit(left.source, t.detach()) for t in (left.followed, gradient))
        left.followed = None
        if value is not None and slope is not None:
            for statistic, maker in self.gradients.items():
                of = {statistic.whole: slope, value_of(statistic): value}
                left.made[statistic] = _made(statistic, maker, of)


def makers_for(statistics: Iterable[Statistic]) -> dict[str, Makers]:
    """By hook what is made of what it sees, for hooks of which nothing is collected whole.

    Raises
    ------
    ValueError
        When a value made of a tensor and its gradient is asked for beside them.
    """
    own = [s for s in statistics if s.base in SEEN_BY and not s.every]
    whole = {SEEN_BY[s.base] for s in own if not s.through}
    found: dict[str, Makers] = {}
    for statistic in own:
        what = SEEN_BY[statistic.base]
        if what in whole and len(reads(statistic)) > 1:
            raise ValueError(f"{statistic} is collected where its parts are not")
        if what not in whole and statistic.through:
            makers = found.setdefault(what, Makers())
            kind = makers.gradients if statistic.prefix else makers.values
            kind[statistic] = maker_of(statistic)
    return found


def reads(statistic: Statistic) -> list[Statistic]:
    """What a statistic that is collected in place of others is made of."""
    made = statistic.through
    return ir.statistics_of([made]) if isinstance(made, Node) else [statistic.whole]


def unit(
    what: str, network: Network, samples: int, source: object, tensor: Tensor
) -> Tensor | None:
    """What a hook saw at a module or layer as ``[B, C, R]``; None where it is not of the batch."""
    if what == "attention":  # maps of windows count as heads
        if len(tensor) % samples:
            return None
        return tensor.reshape(samples, -1, tensor.shape[-2] * tensor.shape[-1])
    if what == "module outputs" and not (
        tensor.is_floating_point() and tensor.dim() > 1 and len(tensor) == samples
    ):
        return None
    if what == "outputs":
        module = source.module if isinstance(source, Layer) else source
        return units(tensor, samples, not isinstance(module, nn.Linear))
    return units(tensor, samples, tensor.dim() != 3 or network.channels_first)


def value_of(statistic: Statistic) -> Statistic:
    """What a gradient is the gradient of."""
    return Statistic(statistic.name, probe=statistic.probe, every=statistic.every)


# --- one layer ------------------------------------------------------------------------------------


def _made(statistic: Statistic, maker: Maker, of: Entries) -> Tensor | Entries:
    """What is made of a layer; of one so small that the engine takes several together its tensors,
    so that the same bits are made of it."""
    if isinstance(statistic.through, Node) and of[statistic.whole].numel() <= BLOCK // 2:
        return {one: of[one].clone() for one in reads(statistic)}
    return maker([of])[0]


@lru_cache(maxsize=256)
def maker_of(statistic: Statistic) -> Maker:
    """How a statistic that is collected in place of others is made of them."""
    if not isinstance(statistic.through, str):
        assert isinstance(statistic.through, Node)
        return _computing(statistic.through)
    operator = OPERATORS[statistic.through]
    kernel = getattr(kernels, operator.name)
    axes, left = (len(kind_of(s).axes) for s in (statistic.whole, statistic))

    def made(entry: Tensor) -> Tensor:
        value: Tensor = kernel(entry, axes)
        return kernels.or_nan(value, entry, left, axes) if operator.hides else value

    return lambda layers: [made(of[statistic.whole]) for of in layers]


@dataclass(frozen=True)
class _Layers:
    """The statistics of a network, of some of its layers."""

    values: Mapping[Statistic, tuple[Tensor, ...]]
    layers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class _Any(Placement):
    """Of statistics that nobody has looked at."""

    def is_finite(self, statistic: Statistic) -> bool:
        return False


def _computing(node: Node) -> Maker:
    """By the program that the engine computes a node with.

    NaN where the node does not fit a layer: the score is then NaN, too.
    """
    root = ir.call("total", (node,)) if node.kind.axes else node  # reads all entries of the list
    program = pipeline.build([root], placement=_Any())
    read = ir.statistics_of([node])

    def made(layers: Sequence[Entries]) -> Sequence[Tensor]:
        own = _Layers({statistic: tuple(of[statistic] for of in layers) for statistic in read})
        try:
            execution = pipeline.run(program, Layout([own], 0), Memo(0))
        except ShapeMismatch:
            first, axes = own.values[read[0]][0], len(node.kind.axes)
            return [first.new_full((len(first),) * axes, torch.nan) for _ in layers]
        return execution.listed(node) if node.kind.axes else execution.number(root).unbind()

    return made
