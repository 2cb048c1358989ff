"""Smaller statistics: a fixed sample of every tensor.

Samples of the batch, positions of layer tensors and rows and columns of maps are thinned out;
classes and channels stay whole. Tensors that share an axis are thinned alike, so that a formula
which fits the whole statistics fits the sample.

Positions are taken in one shuffled order, so that a smaller sample is the beginning of a larger
one: whether a network was thinned once or step by step makes no difference.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache

import numpy as np
import torch
from torch import Tensor

from autodas_dsl.language.inputs import Statistic, kind_of
from autodas_dsl.language.kinds import Kind, symbol
from autodas_dsl.statistics.collect import Collected, Value


@dataclass(frozen=True, slots=True)
class Sample:
    """How much of each tensor is kept.

    Parameters
    ----------
    samples : int, optional
        At most so many of the batch.
    positions : int, optional
        At most so many positions of every layer tensor.
    share : int, optional
        One of so many positions of every layer tensor, weights and their gradients too: large
        layers stay larger than small ones, as formulas that measure size need it.
    stride : int
        Every so many-th row and column of maps, at least two of each.
    """

    samples: int | None = None
    positions: int | None = None
    share: int | None = None
    stride: int = 1

    def orders(self, activation: bool) -> bool:
        """Whether the positions of such a layer tensor are taken in the shuffled order."""
        return self.share is not None or (self.positions is not None and activation)

    def of(self, length: int) -> int:
        """How many of so many positions are kept."""
        if self.share is not None:
            return max(min(_FEWEST, length), length // self.share)
        return length if self.positions is None else min(self.positions, length)

    def step(self, length: int) -> int:
        """The step from one kept row or column of maps to the next."""
        return max(1, min(self.stride, length // _FEWEST_ROWS))

    def __str__(self) -> str:
        parts = [f"{self.positions} positions" if self.positions is not None else "",
                 f"1/{self.share} of the positions" if self.share is not None else "",
                 f"1/{self.stride} of rows and columns" if self.stride > 1 else "",
                 f"{self.samples} samples" if self.samples is not None else ""]  # fmt: skip
        return " and ".join(part for part in parts if part)


_Shared = dict[int, tuple[Tensor, Tensor]]
"""By identity a tensor, which stays alive with it, and what became of it."""

_FEWEST = 4
_FEWEST_ROWS = 2
_ROWS = ("H", "W")
WHOLE = Sample()
SCREEN = Sample(share=16, stride=2)
"""The batch stays whole: embeddings and logits are small, and square matrices of them stay square."""

LADDER = (
    WHOLE, Sample(None, 256), Sample(None, 64), Sample(None, 16), Sample(32, 16), Sample(16, 16),
    Sample(8, 8),
)  # fmt: skip
"""Ever smaller samples of the activations, tried in turn until the statistics fit in memory."""


def thinned(
    collected: Iterable[Collected], sample: Sample, before: Sample = WHOLE
) -> list[Collected]:
    """Statistics of networks, thinned alike; a tensor shared by several is thinned once.

    Parameters
    ----------
    collected : iterable of Collected
        Thinned to `before` already.
    sample : Sample
        No larger than `before`.
    """
    shared: _Shared = {}
    return [_network(one, sample, before, shared) for one in collected]


def size_of(collected: Iterable[Collected]) -> int:
    """Bytes of all tensors, those shared by several networks counted once."""
    seen: dict[int, int] = {}
    for one in collected:
        for value in one.values.values():
            for tensor in value if isinstance(value, tuple) else (value,):
                seen[id(tensor)] = tensor.numel() * tensor.element_size()
    return sum(seen.values())


def sizes_at(collected: Collected) -> tuple[int, ...]:
    """Bytes of one network's tensors at every level of `LADDER`, without thinning them."""
    tensors = {
        id(tensor): (tensor, kind_of(statistic))
        for statistic, value in collected.values.items()
        for tensor in (value if isinstance(value, tuple) else (value,))
        if not statistic.through and _of_batch(kind_of(statistic))
    }
    levels = [
        sum(
            tensor.element_size() * _numel(tuple(tensor.shape), kind, sample)
            for tensor, kind in tensors.values()
        )
        for sample in LADDER
    ]
    whole = size_of([collected]) - levels[0]  # what no level thins
    return tuple(whole + level for level in levels)


def level_within(sizes: Sequence[int], budget: float) -> int:
    """The first level of `LADDER` at which what takes these bytes is within a budget, or the last."""
    return next((level for level, size in enumerate(sizes) if size <= budget), len(LADDER) - 1)


@cache
def _of_batch(kind: Kind) -> bool:
    """Whether a statistic has a number for every sample; `LADDER` thins no other."""
    return any(axis.size == symbol("B") for axis in kind.axes)


@lru_cache(maxsize=1 << 14)
def _numel(shape: tuple[int, ...], kind: Kind, sample: Sample) -> int:
    """How many values of such a tensor are kept; the networks of a space share most shapes."""
    return math.prod(_lengths(shape, kind, sample))


def _lengths(shape: tuple[int, ...], kind: Kind, sample: Sample) -> list[int]:
    """The shape of what is kept of a tensor."""
    activation = _of_batch(kind)
    found = list(shape)
    for place, axis in enumerate(kind.axes):
        length = shape[place]
        if axis.size == symbol("B") and sample.samples is not None:
            found[place] = min(sample.samples, length)
        elif axis.name == "R" and sample.orders(activation):
            found[place] = sample.of(length)
        elif axis.name in _ROWS:
            found[place] = -(-length // sample.step(length))
    return found


def _network(collected: Collected, sample: Sample, before: Sample, shared: _Shared) -> Collected:
    found: dict[Statistic, Value] = {}
    for statistic, value in collected.values.items():
        if statistic.through:  # square matrices stay square
            found[statistic] = value
            continue
        kind = kind_of(statistic)
        if isinstance(value, tuple):
            found[statistic] = tuple(_tensor(entry, kind, sample, before) for entry in value)
        else:
            if id(value) not in shared:
                shared[id(value)] = value, _tensor(value, kind, sample, before)
            found[statistic] = shared[id(value)][1]
    return replace(collected, values=found)


def _tensor(value: Tensor, kind: Kind, sample: Sample, before: Sample) -> Tensor:
    activation = _of_batch(kind)
    small = value
    for place, axis in enumerate(kind.axes):
        length = value.shape[place]
        if axis.size == symbol("B") and sample.samples is not None:
            small = small.narrow(place, 0, min(sample.samples, length))
        elif axis.name == "R" and sample.orders(activation):
            if not before.orders(activation):
                small = small.index_select(place, _order(length).to(value.device))
            small = small.narrow(place, 0, sample.of(length))
        elif axis.name in _ROWS and sample.step(length) > 1:
            taken = torch.arange(0, length, sample.step(length), device=value.device)
            small = small.index_select(place, taken)
    # A view would keep what was left out in memory, as one whole tensor does a mapped file.
    return value if sample == WHOLE else small.clone()


@cache
def _order(length: int) -> Tensor:
    """The order in which positions are taken."""
    keys = np.random.Philox(key=length).random_raw(length)
    return torch.from_numpy(np.argsort(keys, kind="stable"))
