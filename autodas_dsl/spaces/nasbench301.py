"""NAS-Bench-301: DARTS networks of a normal and a reduction cell (Siems et al., 2020).

The network is the one that the reference scores of zero-cost proxies were computed on: eight
cells from 32 channels, reductions third and sixth, normalisation inside the cells without
weights, also after pooling; no auxiliary head.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import torch
from torch import Tensor, nn

from autodas_dsl.language.errors import InputError
from autodas_dsl.spaces.cells import NamedPartSpace
from autodas_dsl.spaces.resnet import relu_conv_bn

OPERATIONS = (
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)

NODES = 4
"""Nodes of a cell; each adds two operations on earlier ones, or on the cell's two inputs."""

CHANNELS = 32
STEM = 3
"""The stem has so many times the initial channels."""

CELLS = 8

Edge = tuple[str, int]
"""An operation and its input: 0 and 1 are the two previous cells, 2 the first node, …"""

Cell = tuple[Edge, ...]
"""Two edges for each node, one node after the other."""


@dataclass(frozen=True, slots=True)
class NasBench301Arch:
    """A normal cell, and the one that halves the map."""

    normal: Cell
    reduce: Cell


class FactorizedReduce(nn.Module):
    """Halves the map by two convolutions, one of which looks one pixel further."""

    def __init__(self, width_in: int, width: int, affine: bool) -> None:
        super().__init__()
        self.relu = nn.ReLU()
        self.conv_1 = nn.Conv2d(width_in, width // 2, 1, stride=2, bias=False)
        self.conv_2 = nn.Conv2d(width_in, width // 2, 1, stride=2, bias=False)
        self.bn = nn.BatchNorm2d(width, affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(x)
        return self.bn(torch.cat([self.conv_1(x), self.conv_2(x[:, :, 1:, 1:])], 1))


def _separable_conv(
    width: int, kernel: int, stride: int, dilation: int, times: int
) -> nn.Sequential:
    """Depthwise and pointwise convolution, once (dilated) or twice in a row."""
    layers: list[nn.Module] = []
    for place in range(times):
        layers += [
            nn.ReLU(),
            nn.Conv2d(
                width, width, kernel, stride=1 if place else stride, bias=False,
                padding=dilation * (kernel // 2), dilation=dilation, groups=width,
            ),
            nn.Conv2d(width, width, 1, bias=False),
            nn.BatchNorm2d(width, affine=False),
        ]  # fmt: skip
    return nn.Sequential(*layers)


class DartsCell(nn.Module):
    """Four nodes on the outputs of the two previous cells, concatenated."""

    def __init__(self, cell: Cell, widths_in: tuple[int, int], width: int, halves: bool,
                 halved_before: bool) -> None:  # fmt: skip
        super().__init__()
        self.sources = [source for _, source in cell]
        first, second = widths_in
        self.preprocess_0 = (
            FactorizedReduce(first, width, affine=True)
            if halved_before
            else relu_conv_bn(first, width, 1)
        )
        self.preprocess_1 = relu_conv_bn(second, width, 1)
        self.edges = nn.ModuleList(
            _operation(name, width, 2 if halves and source < 2 else 1) for name, source in cell
        )

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        values = [self.preprocess_0(first), self.preprocess_1(second)]
        for node in range(NODES):
            a, b = 2 * node, 2 * node + 1
            one = self.edges[a](values[self.sources[a]])
            values.append(one + self.edges[b](values[self.sources[b]]))
        return torch.cat(values[2:], 1)


class NasBench301(nn.Module):
    """Stem, eight cells, pooled logits."""

    def __init__(self, arch: NasBench301Arch, classes: int) -> None:
        super().__init__()
        width = CHANNELS
        stem = STEM * width
        self.stem = nn.Sequential(
            nn.Conv2d(3, stem, 3, padding=1, bias=False), nn.BatchNorm2d(stem)
        )
        widths, halved = (stem, stem), False
        cells = []
        for place in range(CELLS):
            halves = place in (CELLS // 3, 2 * CELLS // 3)
            width *= 2 if halves else 1
            chosen = arch.reduce if halves else arch.normal
            cells.append(DartsCell(chosen, widths, width, halves, halved))
            widths, halved = (widths[1], NODES * width), halves
        self.cells = nn.ModuleList(cells)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(widths[1], classes)

    def forward(self, x: Tensor) -> Tensor:
        first = second = self.stem(x)
        for cell in self.cells:
            first, second = second, cell(first, second)
        return self.classifier(self.pool(second).flatten(1))


class NasBench301Space(NamedPartSpace[NasBench301Arch]):
    """Two cells, each of seven operations on 180 choices of inputs: 1.1e18 texts."""

    name = "nasbench301"
    input_shape = (3, 32, 32)
    classes = 10
    part_names = ("normal", "reduce")
    example = "normal=OP~0+OP~1+…,reduce=OP~0+OP~1+… (eight OP~INPUT in each)"

    def build(self, arch: NasBench301Arch, classes: int | None = None) -> nn.Module:
        return NasBench301(arch, classes or self.classes)

    def from_parts(self, parts: Mapping[str, str]) -> NasBench301Arch:
        return NasBench301Arch(**{name: self._cell(name, parts[name]) for name in self.part_names})

    def to_parts(self, arch: NasBench301Arch) -> Mapping[str, str]:
        return {"normal": _written(arch.normal), "reduce": _written(arch.reduce)}

    def sample(self, rng: np.random.Generator) -> NasBench301Arch:
        return NasBench301Arch(_drawn(rng), _drawn(rng))

    def mutate(self, arch: NasBench301Arch, rng: np.random.Generator) -> NasBench301Arch:
        """The operation or the input of one edge drawn anew."""
        cells = {"normal": list(arch.normal), "reduce": list(arch.reduce)}
        cell = cells[self.part_names[rng.integers(2)]]
        place = int(rng.integers(len(cell)))
        (name, source), (_, other) = cell[place], cell[place ^ 1]
        inputs = [i for i in range(place // 2 + 2) if i not in (source, other)]
        if inputs and rng.integers(2):
            cell[place] = (name, inputs[rng.integers(len(inputs))])
        else:
            names = [one for one in OPERATIONS if one != name]
            cell[place] = (names[rng.integers(len(names))], source)
        return NasBench301Arch(tuple(cells["normal"]), tuple(cells["reduce"]))

    def count(self) -> int:
        """Cells as sets of edges: the order in which a node's two are written does not count."""
        inputs = math.prod(math.comb(node + 2, 2) for node in range(NODES))
        return int((inputs * len(OPERATIONS) ** (2 * NODES)) ** 2)

    def canonical(self, arch: NasBench301Arch) -> str:
        """The least text of each cell over all orders of its nodes and of their two edges."""
        return self.format(NasBench301Arch(_least(arch.normal), _least(arch.reduce)))

    def _cell(self, part: str, text: str) -> Cell:
        items = [item.strip().rpartition("~") for item in text.split("+")]
        if len(items) != 2 * NODES or not all(index.isdecimal() for _, _, index in items):
            raise InputError(
                "E705",
                f'{part} of {self.name} is {2 * NODES} pairs OPERATION~INPUT, not "{text}"',
                "two for each node, joined by +, such as sep_conv_3x3~0+skip_connect~1",
            )
        cell = tuple((name, int(index)) for name, _, index in items)
        for place, (name, source) in enumerate(cell):
            if name not in OPERATIONS:
                raise InputError(
                    "E706",
                    f'an edge of {self.name} cannot be "{name}"',
                    f"allowed: {', '.join(OPERATIONS)}",
                )
            if source >= place // 2 + 2 or source == cell[place ^ 1][1]:
                raise InputError(
                    "E706",
                    f"node {place // 2 + 1} of {part} in {self.name} cannot have the inputs "
                    f"{cell[place - place % 2][1]} and {cell[place | 1][1]}",
                    f"allowed: two different ones of 0 to {place // 2 + 1}",
                )
        return cell


def _operation(name: str, width: int, stride: int) -> nn.Module:
    if name == "skip_connect":
        return FactorizedReduce(width, width, affine=False) if stride == 2 else nn.Identity()
    if name == "max_pool_3x3":
        pool: nn.Module = nn.MaxPool2d(3, stride=stride, padding=1)
        return nn.Sequential(pool, nn.BatchNorm2d(width, affine=False))
    if name == "avg_pool_3x3":
        pool = nn.AvgPool2d(3, stride=stride, padding=1, count_include_pad=False)
        return nn.Sequential(pool, nn.BatchNorm2d(width, affine=False))
    dilated = name.startswith("dil")
    return _separable_conv(width, int(name[-1]), stride, 2 if dilated else 1, 1 if dilated else 2)


def _written(cell: Cell) -> str:
    return "+".join(f"{name}~{source}" for name, source in cell)


def _drawn(rng: np.random.Generator) -> Cell:
    edges: list[Edge] = []
    for node in range(NODES):
        for source in rng.choice(node + 2, size=2, replace=False):
            edges.append((OPERATIONS[rng.integers(len(OPERATIONS))], int(source)))
    return tuple(edges)


def _least(cell: Cell) -> Cell:
    nodes = [cell[2 * node : 2 * node + 2] for node in range(NODES)]
    return min(found for order in permutations(range(NODES)) if (found := _reordered(nodes, order)))


def _reordered(nodes: Sequence[Cell], order: Sequence[int]) -> Cell:
    """The cell with its nodes in another order; empty when a node would precede its input."""
    places = {node + 2: place + 2 for place, node in enumerate(order)} | {0: 0, 1: 1}
    edges: list[Edge] = []
    for place, node in enumerate(order):
        moved = sorted((name, places[source]) for name, source in nodes[node])
        if any(source >= place + 2 for _, source in moved):
            return ()
        edges += moved
    return tuple(edges)


SPACE = NasBench301Space()
