"""Evaluate many formulas on many networks: one DAG, every value per layer computed once."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count, pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autodas_dsl.compiler.emit import Names, emit, load
from autodas_dsl.compiler.interpret import (
    NotFinite,
    ShapeMismatch,
    Values,
    evaluate,
    interpret,
)
from autodas_dsl.compiler.ir import Node, topological
from autodas_dsl.compiler.layout import NET, Block, Layout, build_layout
from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.compiler.plan import Step, constants, domain_of, plan
from autodas_dsl.language.inputs import Statistic

MEMO_BYTES = 256 * 1024 * 1024
_PROGRAMS = count()


@dataclass(frozen=True)
class Program:
    """Steps and the Python that runs them."""

    steps: tuple[Step, ...]
    constants: dict[Node, float]
    source: str


def build_program(
    roots: Sequence[Node], known: Callable[[Node], bool] = lambda node: False
) -> Program:
    """The program that computes formulas, given which numbers are known already."""
    fixed = {n: _constant(n) for n in constants(topological(roots))}
    steps = tuple(plan([r for r in roots if r not in fixed], known))
    names = Names()
    tidy = len(roots) > 1
    source = "\n\n\n".join(emit(step, names, fixed, tidy) for step in steps)
    return Program(steps, fixed, source)


@dataclass(frozen=True)
class _Nothing:
    """The statistics of no network, for constants."""

    values: Mapping[Statistic, Tensor] = field(default_factory=dict)
    layers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def _constant(node: Node) -> float:
    """The value of a node below which there is no statistic; NaN where it is invalid."""
    try:
        value = evaluate(node, _Nothing())
    except NotFinite:
        return math.nan
    if isinstance(value, tuple):
        raise TypeError("a constant is one number")
    return float(value)


class Engine:
    """Evaluates formulas on the stored statistics of a fixed set of networks.

    Parameters
    ----------
    collected : sequence of Values
        One per network, all with the same statistics.
    compiled : bool
        Run each pass over tensors through ``torch.compile``: seconds for every new formula, kept
        for the next engine with the same formula.
    """

    def __init__(self, collected: Sequence[Values], compiled: bool = False) -> None:
        self._collected = collected
        self._compiled = compiled
        self._layout: Layout = build_layout(collected)
        self._memo: OrderedDict[Node, Tensor] = OrderedDict()
        self._memo_bytes = 0
        self.computed = 0

    @property
    def networks(self) -> int:
        return self._layout.networks

    def evaluate(self, roots: Sequence[Node], every_reason: bool = False) -> list[Outcome]:
        """Scores of formulas on all networks.

        Parameters
        ----------
        roots : sequence of Node
            Numbers.
        every_reason : bool
            Find the operator to blame for every invalid network, not only for the first.
        """
        program = build_program(roots, self._memo.__contains__)
        values: dict[Node, Tensor | list[Tensor]] = {}
        if program.steps:
            functions = self._functions(program)
            with torch.inference_mode():
                for step in program.steps:
                    self._run(step, functions[step.name], values)
        self.computed += sum(len(step.nodes) for step in program.steps)
        outcomes = [self._outcome(root, program, values, every_reason) for root in roots]
        self._remember(values)
        return outcomes

    def _functions(self, program: Program) -> dict[str, Callable[..., Any]]:
        if self._compiled:
            return _compiled(
                program.source, tuple(s.name for s in program.steps if s.form == "pass")
            )
        return load(program.source, f"program {next(_PROGRAMS)}")

    def _outcome(
        self,
        root: Node,
        program: Program,
        values: dict[Node, Tensor | list[Tensor]],
        every_reason: bool,
    ) -> Outcome:
        if root in program.constants:
            scores = np.full(self.networks, program.constants[root])
        else:
            scores = self._number(root, values).expand(self.networks).numpy().copy()
        scores[~np.isfinite(scores)] = np.nan
        reasons = [""] * self.networks
        found = ""
        for network in np.flatnonzero(np.isnan(scores)):
            if every_reason or not found:
                found = self._reason(root, int(network))
            reasons[int(network)] = found
        return Outcome(scores, tuple(reasons))

    def _reason(self, root: Node, network: int) -> str:
        try:
            value = interpret(root, self._collected[network])
        except (NotFinite, ShapeMismatch) as error:
            return str(error)
        return f"not finite in a batch of networks, {value} alone"

    def _number(self, node: Node, values: dict[Node, Tensor | list[Tensor]]) -> Tensor:
        if node.op == "stat":
            return self._layout.numbers[node.statistic]
        found = values[node] if node in values else self._memo[node]
        if isinstance(found, list):
            raise TypeError("a tensor where a number was expected")
        return found

    # --- running steps ------------------------------------------------------------------------

    def _run(
        self, step: Step, function: Callable[..., tuple[Tensor, ...]],
        values: dict[Node, Tensor | list[Tensor]],
    ) -> None:  # fmt: skip
        if step.form == "join":
            imports = [self._number(node, values) for node in step.imports]
            for node, result in zip(
                step.exports, function(self._per_network, *imports), strict=True
            ):
                values[node] = result
        elif step.form == "gather":
            self._gather(step, function, values)
        else:
            self._pass(step, function, values)

    def _per_network(self, domain: str, reduce: Callable[..., Tensor], *flats: Tensor) -> Tensor:
        """Reduce the layer lists of every network; networks with equally many layers together."""
        counts = self._layout.counts[domain]
        starts = np.cumsum([0, *counts[:-1]])
        flats = tuple(flat.expand(sum(counts)) for flat in flats)
        result = torch.full((self.networks,), torch.nan, dtype=torch.float64)
        for length in sorted(set(counts) - {0}):
            members = torch.tensor([i for i, c in enumerate(counts) if c == length])
            index = torch.from_numpy(starts)[members].unsqueeze(-1) + torch.arange(length)
            result[members] = reduce(*(flat[index] for flat in flats)).double()
        return result

    def _gather(
        self, step: Step, function: Callable[..., tuple[Tensor, ...]],
        values: dict[Node, Tensor | list[Tensor]],
    ) -> None:  # fmt: skip
        """A layer list of tensors to one tensor per network."""
        results: list[list[Tensor]] = [[] for _ in step.exports]
        sources = [self._entries(node, values) for node in step.imports]
        for network in range(self.networks):
            found = function(*(source[network] for source in sources))
            for place, result in zip(results, found, strict=True):
                place.append(result)
        values.update(zip(step.exports, results, strict=True))

    def _entries(self, node: Node, values: dict[Node, Tensor | list[Tensor]]) -> list[list[Tensor]]:
        """The units of a layer list, network by network."""
        domain = domain_of(node)
        if node.op == "stat":
            return [list(c.values[node.statistic]) for c in self._collected]
        units = values[node]
        if isinstance(units, Tensor):
            raise TypeError("a number where a tensor was expected")
        starts = np.cumsum([0, *self._layout.counts[domain]])
        return [units[a:b] for a, b in pairwise(starts)]

    def _pass(
        self, step: Step, function: Callable[..., tuple[Tensor, ...]],
        values: dict[Node, Tensor | list[Tensor]],
    ) -> None:  # fmt: skip
        owner = self._layout.owner[step.domain]
        total = len(owner)
        for node in step.exports:
            if node.kind.axes:
                values[node] = [torch.empty(0)] * total
            else:
                values[node] = torch.full((total,), torch.nan, dtype=torch.float64)
        for block in self._blocks(step):
            stats = [block.tensors[node.statistic] for node in step.stats]
            imports = [
                self._imported(node, step.domain, block.units, owner, values)
                for node in step.imports
            ]
            for node, result in zip(step.exports, function(*stats, *imports), strict=True):
                _scatter(values[node], block.units, result)

    def _blocks(self, step: Step) -> Sequence[Block]:
        blocks = self._layout.blocks[step.domain]
        if not step.stats and not step.singly:
            return [Block(torch.arange(len(self._layout.owner[step.domain])), {})]
        if not step.singly:
            return blocks
        return [
            Block(block.units[i : i + 1], {s: t[_at(t, i)] for s, t in block.tensors.items()})
            for block in blocks
            for i in range(len(block.units))
        ]

    def _imported(
        self, node: Node, domain: str, units: Tensor, owner: Tensor,
        values: dict[Node, Tensor | list[Tensor]],
    ) -> Tensor:  # fmt: skip
        found = values.get(node)
        if isinstance(found, list):
            return found[int(units[0])].unsqueeze(0)
        flat = self._number(node, values)
        if domain_of(node) == domain:
            return flat[units]
        return flat.expand(self.networks)[owner[units]]

    # --- memory -------------------------------------------------------------------------------

    def _remember(self, values: dict[Node, Tensor | list[Tensor]]) -> None:
        """Keep numbers for later calls, the oldest leaving first when there are too many."""
        for node, value in values.items():
            if isinstance(value, Tensor) and node not in self._memo:
                self._memo[node] = value
                self._memo_bytes += value.numel() * value.element_size()
        while self._memo_bytes > MEMO_BYTES:
            _, old = self._memo.popitem(last=False)
            self._memo_bytes -= old.numel() * old.element_size()


@lru_cache(maxsize=64)
def _compiled(source: str, passes: tuple[str, ...]) -> dict[str, Callable[..., Any]]:
    """The functions of a program, those of passes compiled for tensors of any size."""
    functions = load(source, f"program {next(_PROGRAMS)}")
    return functions | {name: torch.compile(functions[name], dynamic=True) for name in passes}


def _at(tensor: Tensor, unit: int) -> slice:
    return slice(0, 1) if len(tensor) == 1 else slice(unit, unit + 1)


def _scatter(place: Tensor | list[Tensor], units: Tensor, result: Tensor) -> None:
    if isinstance(place, Tensor):
        place[units] = result.to(place.dtype)
        return
    entries = result.expand(len(units), *result.shape[1:]).unbind(0)
    for unit, entry in zip(units.tolist(), entries, strict=True):
        place[unit] = entry


__all__ = ["NET", "Engine", "Program", "build_program"]
