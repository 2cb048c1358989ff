"""NAS-Bench-101: networks of one repeated cell, a labelled graph (Ying et al., ICML 2019).

The network is that of the published benchmark: a vertex adds what flows into it, the output
vertex concatenates; what comes from the cell's input is projected. Weights start as in the
released code's PyTorch counterparts: convolutions normal with variance 2 / fan-out, the
classifier normal with deviation 0.01.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from autodas_dsl.language.errors import InputError
from autodas_dsl.spaces.cells import NamedPartSpace

OPERATIONS = ("conv3x3", "conv1x1", "maxpool3x3")
"""In the order in which the published hash numbers them."""

INPUT, OUTPUT = "input", "output"
VERTICES = 7
EDGES = 9
STEM = 128
STACKS = 3
CELLS = 3
"""Cells in each of the stacks."""

CELLS_OF_THE_SPACE = 423_624
"""Cells that differ up to isomorphism, as published."""


@dataclass(frozen=True, slots=True)
class NasBench101Arch:
    """A labelled graph of at most seven vertices, the input first and the output last.

    Attributes
    ----------
    matrix : tuple of str
        Rows of the adjacency matrix, digits 0 and 1, upper triangular.
    operations : tuple of str
        One for each vertex.
    """

    matrix: tuple[str, ...]
    operations: tuple[str, ...]

    def targets(self, vertex: int) -> tuple[int, ...]:
        """Where the edges of a vertex go."""
        return tuple(i for i, digit in enumerate(self.matrix[vertex]) if digit == "1")

    def sources(self, vertex: int) -> tuple[int, ...]:
        """Where the edges into a vertex come from."""
        return tuple(i for i, row in enumerate(self.matrix) if row[vertex] == "1")

    @property
    def edges(self) -> int:
        return "".join(self.matrix).count("1")


def pruned(arch: NasBench101Arch) -> NasBench101Arch | None:
    """The graph without the vertices that lie on no path from input to output; None if none do."""
    last = len(arch.matrix) - 1
    forward, backward = {0}, {last}
    for vertex in range(last):
        if vertex in forward:
            forward |= set(arch.targets(vertex))
    for vertex in range(last, 0, -1):
        if vertex in backward:
            backward |= set(arch.sources(vertex))
    kept = sorted(forward & backward)
    if last not in forward:
        return None
    return NasBench101Arch(
        tuple("".join(arch.matrix[i][j] for j in kept) for i in kept),
        tuple(arch.operations[i] for i in kept),
    )


def published_hash(arch: NasBench101Arch) -> str:
    """The benchmark's own fingerprint of a pruned graph, equal for isomorphic cells only.

    The authors checked that among all cells of the space no two others share it.
    """
    graph = pruned(arch)
    if graph is None:
        raise ValueError("the output does not depend on the input")
    labels = [-1, *(OPERATIONS.index(name) for name in graph.operations[1:-1]), -2]
    inward = [graph.sources(vertex) for vertex in range(len(labels))]
    outward = [graph.targets(vertex) for vertex in range(len(labels))]
    hashes = [
        _md5(str((len(after), len(before), label)))
        for after, before, label in zip(outward, inward, labels, strict=True)
    ]
    for _ in labels:
        hashes = [
            _md5(
                "".join(sorted(hashes[v] for v in before))
                + "|"
                + "".join(sorted(hashes[v] for v in after))
                + "|"
                + own
            )
            for before, after, own in zip(inward, outward, hashes, strict=True)
        ]
    return _md5(str(sorted(hashes)))


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def vertex_channels(graph: NasBench101Arch, width_in: int, width: int) -> list[int]:
    """Channels of every vertex of a pruned graph.

    The output's channels are divided among the vertices that feed it, the first ones take the
    remainder; any other vertex has as many as the widest that it feeds.
    """
    last = len(graph.matrix) - 1
    channels = [width_in] + [0] * (last - 1) + [width]
    feeding = [vertex for vertex in graph.sources(last) if vertex]
    for place, vertex in enumerate(feeding):
        channels[vertex] = width // len(feeding) + (place < width % len(feeding))
    for vertex in range(last - 1, 0, -1):
        if vertex not in feeding:
            channels[vertex] = max(channels[target] for target in graph.targets(vertex))
    return channels


def _conv_bn_relu(width_in: int, width: int, kernel: int) -> nn.Sequential:
    """Convolution without bias, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(width_in, width, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    )


class Cell(nn.Module):
    """One pruned graph."""

    def __init__(self, graph: NasBench101Arch, width_in: int, width: int) -> None:
        super().__init__()
        self.last = len(graph.matrix) - 1
        self.channels = vertex_channels(graph, width_in, width)
        self.inner = [[v for v in graph.sources(t) if v] for t in range(self.last + 1)]
        self.operations = nn.ModuleDict(
            {
                str(vertex): _operation(graph.operations[vertex], self.channels[vertex])
                for vertex in range(1, self.last)
            }
        )
        self.projections = nn.ModuleDict(
            {str(v): _conv_bn_relu(width_in, self.channels[v], 1) for v in graph.targets(0)}
        )

    def forward(self, x: Tensor) -> Tensor:
        values = {0: x}
        for vertex in range(1, self.last):
            width = self.channels[vertex]
            incoming = [values[source][:, :width] for source in self.inner[vertex]]
            values[vertex] = self.operations[str(vertex)](self._added(incoming, x, vertex))
        feeding = [values[source] for source in self.inner[self.last]]
        return self._added([torch.cat(feeding, 1)] if feeding else [], x, self.last)

    def _added(self, incoming: list[Tensor], x: Tensor, vertex: int) -> Tensor:
        if str(vertex) in self.projections:
            incoming = [*incoming, self.projections[str(vertex)](x)]
        return incoming[0] if len(incoming) == 1 else torch.stack(incoming).sum(0)


class NasBench101(nn.Module):
    """Stem, three stacks of three cells with halving between, pooled logits."""

    def __init__(self, graph: NasBench101Arch, classes: int) -> None:
        super().__init__()
        self.stem = _conv_bn_relu(3, STEM, 3)
        layers: list[nn.Module] = []
        before = width = STEM
        for stack in range(STACKS):
            if stack:
                layers.append(nn.MaxPool2d(2))
                width *= 2
            for _ in range(CELLS):
                layers.append(Cell(graph, before, width))
                before = width
        self.cells = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(width, classes)
        self.apply(_initialize)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.pool(self.cells(self.stem(x))).flatten(1))


class NasBench101Space(NamedPartSpace[NasBench101Arch]):
    """At most seven vertices, nine edges, three operations: 423,624 different cells.

    A text may hold vertices on no path from input to output; they are not built, and `canonical`
    does not see them.
    """

    name = "nasbench101"
    input_shape = (3, 32, 32)
    classes = 10
    part_names = ("matrix", "ops")
    example = "matrix=011-001-000,ops=input-conv3x3-output"

    def build(self, arch: NasBench101Arch, classes: int | None = None) -> nn.Module:
        graph = pruned(arch)
        if graph is None:
            raise self.impossible(arch, _UNREACHED)
        return NasBench101(graph, classes or self.classes)

    def from_parts(self, parts: Mapping[str, str]) -> NasBench101Arch:
        rows = tuple(parts["matrix"].split("-"))
        operations = tuple(parts["ops"].split("-"))
        arch = NasBench101Arch(rows, operations)
        if not all(re.fullmatch(f"[01]{{{len(rows)}}}", row) for row in rows):
            raise self.malformed(self.format(arch))
        for name in operations[1:-1]:
            if name not in OPERATIONS:
                raise InputError(
                    "E706",
                    f'a vertex of {self.name} cannot be "{name}"',
                    f"allowed: {', '.join(OPERATIONS)}",
                )
        if why := self._refusal(arch):
            raise self.impossible(arch, why)
        return arch

    def to_parts(self, arch: NasBench101Arch) -> Mapping[str, str]:
        return {"matrix": "-".join(arch.matrix), "ops": "-".join(arch.operations)}

    def sample(self, rng: np.random.Generator) -> NasBench101Arch:
        """Each edge of seven vertices with probability one half, until the cell is allowed."""
        while True:
            bits = np.triu(rng.integers(2, size=(VERTICES, VERTICES)), 1)
            names = rng.choice(OPERATIONS, size=VERTICES - 2)
            arch = NasBench101Arch(
                tuple("".join(map(str, row)) for row in bits), (INPUT, *map(str, names), OUTPUT)
            )
            if not self._refusal(arch):
                return arch

    def mutate(self, arch: NasBench101Arch, rng: np.random.Generator) -> NasBench101Arch:
        """One edge added or removed, or one operation drawn anew; the result is allowed."""
        size = len(arch.matrix)
        edges = [(i, j) for i in range(size) for j in range(i + 1, size)]
        while True:
            place = int(rng.integers(len(edges) + size - 2))
            if place < len(edges):
                mutant = _flipped(arch, *edges[place])
            else:
                mutant = _renamed(arch, place - len(edges) + 1, rng)
            if not self._refusal(mutant):
                return mutant

    def count(self) -> int:
        return CELLS_OF_THE_SPACE

    def canonical(self, arch: NasBench101Arch) -> str:
        return published_hash(arch)

    def _refusal(self, arch: NasBench101Arch) -> str:
        """Why a graph is not a cell of the space; empty when it is."""
        size = len(arch.matrix)
        if not 2 <= size <= VERTICES:
            return f"a cell has 2 to {VERTICES} vertices, not {size}"
        if len(arch.operations) != size:
            return f"{size} vertices need as many ops, not {len(arch.operations)}"
        if (arch.operations[0], arch.operations[-1]) != (INPUT, OUTPUT):
            return "the first vertex is input, the last output"
        if any("1" in row[: place + 1] for place, row in enumerate(arch.matrix)):
            return "an edge goes from a vertex to a later one"
        graph = pruned(arch)
        if graph is None:
            return _UNREACHED
        if graph.edges > EDGES:
            return f"a cell has at most {EDGES} edges, not {graph.edges}"
        return ""


_UNREACHED = "its output does not depend on its input"


def _operation(name: str, width: int) -> nn.Module:
    if name == "maxpool3x3":
        return nn.MaxPool2d(3, stride=1, padding=1)
    return _conv_bn_relu(width, width, 1 if name == "conv1x1" else 3)


def _flipped(arch: NasBench101Arch, source: int, target: int) -> NasBench101Arch:
    row = arch.matrix[source]
    digit = "0" if row[target] == "1" else "1"
    changed = row[:target] + digit + row[target + 1 :]
    matrix = (*arch.matrix[:source], changed, *arch.matrix[source + 1 :])
    return NasBench101Arch(matrix, arch.operations)


def _renamed(arch: NasBench101Arch, vertex: int, rng: np.random.Generator) -> NasBench101Arch:
    others = [name for name in OPERATIONS if name != arch.operations[vertex]]
    names = list(arch.operations)
    names[vertex] = others[rng.integers(len(others))]
    return NasBench101Arch(arch.matrix, tuple(names))


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        fan = math.prod(module.kernel_size) * module.out_channels
        nn.init.normal_(module.weight, 0, math.sqrt(2 / fan))
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0, 0.01)
        nn.init.zeros_(module.bias)


SPACE = NasBench101Space()
