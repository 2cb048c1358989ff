"""NAS-Bench-201: networks of one repeated cell with four nodes (Dong and Yang, ICLR 2020)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from torch import Tensor, nn

from autodas_dsl.language.errors import InputError
from autodas_dsl.spaces.base import Space
from autodas_dsl.spaces.resnet import relu_conv_bn

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")

EDGES = ((1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2))
"""Target and source node of each edge, in the order of the architecture's text."""

WIDTHS = (16, 32, 64)
CELLS = 5
"""Cells in each of the three stages."""


@dataclass(frozen=True, slots=True)
class NasBench201Arch:
    """The operation of each edge, in the order of `EDGES`."""

    operations: tuple[str, ...]


class Nothing(nn.Module):
    """Zeros in the input's shape."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x)


class Cell(nn.Module):
    """Four nodes, each the sum of its edges; only the chosen operation of an edge exists."""

    def __init__(self, arch: NasBench201Arch, width: int) -> None:
        super().__init__()
        self.edges = nn.ModuleList(_operation(name, width) for name in arch.operations)

    def forward(self, x: Tensor) -> Tensor:
        nodes = [x]
        for target in range(1, 4):
            incoming = [
                edge(nodes[source])
                for edge, (into, source) in zip(self.edges, EDGES, strict=True)
                if into == target
            ]
            nodes.append(torch.stack(incoming).sum(0))
        return nodes[3]


class Reduction(nn.Module):
    """A residual block that halves the map and doubles the channels."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        self.conv_a = relu_conv_bn(width_in, width, 3, stride=2)
        self.conv_b = relu_conv_bn(width, width, 3)
        self.downsample = nn.Sequential(
            nn.AvgPool2d(2, stride=2), nn.Conv2d(width_in, width, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.downsample(x) + self.conv_b(self.conv_a(x))


class NasBench201(nn.Module):
    """Stem, three stages of five cells with reductions between, pooled logits."""

    def __init__(self, arch: NasBench201Arch, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, WIDTHS[0], 3, padding=1, bias=False), nn.BatchNorm2d(WIDTHS[0])
        )
        layers: list[nn.Module] = []
        for stage, width in enumerate(WIDTHS):
            if stage:
                layers.append(Reduction(WIDTHS[stage - 1], width))
            layers += [Cell(arch, width) for _ in range(CELLS)]
        self.cells = nn.Sequential(*layers)
        self.lastact = nn.Sequential(nn.BatchNorm2d(WIDTHS[-1]), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(WIDTHS[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.pool(self.lastact(self.cells(self.stem(x)))).flatten(1))


class NasBench201Space(Space[NasBench201Arch]):
    """Five operations on six edges: 15,625 texts, 6,466 different networks."""

    name = "nasbench201"
    input_shape = (3, 32, 32)
    classes = 10

    def build(self, arch: NasBench201Arch, classes: int | None = None) -> nn.Module:
        return NasBench201(arch, classes or self.classes)

    def parse(self, text: str) -> NasBench201Arch:
        nodes = text.strip().split("+")
        found = [_ITEM.findall(node) for node in nodes]
        written = "+".join("|" + "".join(f"{op}~{i}|" for op, i in node) for node in found)
        sources = [int(source) for node in found for _, source in node]
        if written != text.strip() or sources != [source for _, source in EDGES]:
            raise InputError(
                "E702",
                f'"{text}" is not an architecture of {self.name}',
                "write it as |op~0|+|op~0|op~1|+|op~0|op~1|op~2|",
            )
        operations = [operation for node in found for operation, _ in node]
        for operation in operations:
            if operation not in OPERATIONS:
                raise InputError(
                    "E706",
                    f'an edge of {self.name} cannot be "{operation}"',
                    f"allowed: {', '.join(OPERATIONS)}",
                )
        return NasBench201Arch(tuple(operations))

    def format(self, arch: NasBench201Arch) -> str:
        nodes: list[str] = ["|", "|", "|"]
        for operation, (target, source) in zip(arch.operations, EDGES, strict=True):
            nodes[target - 1] += f"{operation}~{source}|"
        return "+".join(nodes)

    def sample(self, rng: np.random.Generator) -> NasBench201Arch:
        numbers = rng.integers(len(OPERATIONS), size=len(EDGES))
        return NasBench201Arch(tuple(OPERATIONS[n] for n in numbers))

    def mutate(self, arch: NasBench201Arch, rng: np.random.Generator) -> NasBench201Arch:
        edge = int(rng.integers(len(EDGES)))
        others = [name for name in OPERATIONS if name != arch.operations[edge]]
        operations = list(arch.operations)
        operations[edge] = others[rng.integers(len(others))]
        return NasBench201Arch(tuple(operations))

    def count(self) -> int:
        return len(OPERATIONS) ** len(EDGES)

    def enumerate(self) -> Iterator[NasBench201Arch]:
        return (NasBench201Arch(chosen) for chosen in product(OPERATIONS, repeat=6))

    def canonical(self, arch: NasBench201Arch) -> str:
        """The output node as an expression, by the benchmark's own rule for equal networks.

        A skip is its source, an edge from nothing is nothing, terms are sorted. The rule gives
        the 6,466 classes of the paper; sums within sums are compared as texts, so that some
        networks that compute the same still have two forms.
        """
        values = ["x"]
        for node in range(1, 4):
            terms = [
                _term(operation, values[source])
                for operation, (target, source) in zip(arch.operations, EDGES, strict=True)
                if target == node
            ]
            values.append("+".join(sorted(terms)))
        return values[3]

    def reachable(self, arch: NasBench201Arch) -> bool:
        reached = {0}
        for operation, (target, source) in zip(arch.operations, EDGES, strict=True):
            if operation != "none" and source in reached:
                reached.add(target)
        return 3 in reached


_NOTHING = "#"
_ITEM = re.compile(r"([^|~+]+)~(\d)\|")


def _term(operation: str, value: str) -> str:
    if operation == "none" or value == _NOTHING:
        return _NOTHING
    return value if operation == "skip_connect" else f"({value})@{operation}"


def _operation(name: str, width: int) -> nn.Module:
    if name == "nor_conv_1x1":
        return relu_conv_bn(width, width, 1)
    if name == "nor_conv_3x3":
        return relu_conv_bn(width, width, 3)
    if name == "avg_pool_3x3":
        return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
    return nn.Identity() if name == "skip_connect" else Nothing()


SPACE = NasBench201Space()
