"""Run the steps of a program over a layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import count, pairwise
from traceback import extract_tb
from typing import Any

import numpy as np
import torch
from torch import Tensor

from autodas_dsl.compiler.emit import load
from autodas_dsl.compiler.ir import Node
from autodas_dsl.compiler.kernels import share
from autodas_dsl.compiler.layout import Block, Layout
from autodas_dsl.compiler.places import NET, TEACHER
from autodas_dsl.compiler.plan import Step
from autodas_dsl.compiler.program import Program

_PROGRAMS = count()


class Failed(Exception):
    """torch refused an operation, such as one on shapes that do not fit.

    Parameters
    ----------
    node : Node
        The operation.
    """

    def __init__(self, node: Node, message: str) -> None:
        super().__init__(message)
        self.node = node


class Execution:
    """One run of a program.

    Parameters
    ----------
    layout : Layout
    known : mapping
        Numbers that the program takes as known.

    Attributes
    ----------
    numbers : dict of Node to Tensor
        What was computed: float64, one number per unit of the node's domain.
    """

    def __init__(self, layout: Layout, known: Mapping[Node, Tensor] | Any) -> None:
        self.numbers: dict[Node, Tensor] = {}
        self._layout = layout
        self._known = known
        self._teacher: dict[Node, Tensor] = {}
        self._gathered: dict[Node, list[Tensor]] = {}
        self._listed: dict[Node, dict[int, Tensor]] = {}
        self._wanted: dict[Node, set[int]] = {}

    def run(self, program: Program, compiled: bool = False) -> None:
        """Run all steps, passes over tensors through ``torch.compile`` if wanted.

        Raises
        ------
        Failed
        """
        filename = f"<autodas-dsl program {next(_PROGRAMS)}>"
        if compiled:
            passes = tuple(step.name for step in program.steps if step.form == "pass")
            functions = _compiled(program.source, passes)
        else:
            functions = load(program.source, filename)
        for step in program.steps:
            if step.form == "gather":
                self._wanted.setdefault(step.imports[0], set()).update(self._units_for(step))
        with torch.inference_mode():
            for step in program.steps:
                try:
                    self._run(step, functions[step.name])
                except RuntimeError as error:
                    raise _failed(error, program, filename) from error

    def _run(self, step: Step, function: Callable[..., tuple[Tensor, ...]]) -> None:
        if step.form == "numbers":
            imports = [self.number(node) for node in step.imports]
            results = function(self._per_network, self._per_layer, *imports)
            self.numbers.update(zip(step.exports, results, strict=True))
        elif step.form == "gather":
            self._gather(step, function)
        elif step.domain == TEACHER:
            self._teach(step, function)
        else:
            self._pass(step, function)

    def number(self, node: Node) -> Tensor:
        """A number per unit, computed now, known before or stored."""
        if node.op == "stat":
            return self._layout.numbers[node.statistic]
        found: Tensor = self.numbers[node] if node in self.numbers else self._known[node]
        return found

    # --- numbers ------------------------------------------------------------------------------

    def _per_network(self, domain: str, reduce: Callable[..., Tensor], *lists: Tensor) -> Tensor:
        """Reduce the layer list of every network; networks with equally many layers together."""
        counts = self._layout.counts[domain]
        starts = np.cumsum([0, *counts[:-1]])
        flat = [values.expand(sum(counts)) for values in lists]
        result = torch.full((len(counts),), torch.nan, dtype=torch.float64)
        for length in sorted(set(counts) - {0}):
            members = torch.tensor([i for i, c in enumerate(counts) if c == length])
            index = torch.from_numpy(starts)[members].unsqueeze(-1) + torch.arange(length)
            result[members] = reduce(*(values[index] for values in flat)).double()
        return result

    def _per_layer(self, domain: str, values: Tensor) -> Tensor:
        """A number per network, repeated for each of its layers."""
        return values.expand(self._layout.networks)[self._layout.owner[domain]]

    # --- passes -------------------------------------------------------------------------------

    def _pass(self, step: Step, function: Callable[..., tuple[Tensor, ...]]) -> None:
        pieces: dict[Node, list[Tensor]] = {n: [] for n in step.exports if not n.kind.axes}
        self._listed.update({n: {} for n in step.exports if n.kind.axes})
        feeds = [self._feed(node, step) for node in step.imports]
        blocks = self._layout.blocks(step.domain, step.tier, step.weights)
        for block in blocks:
            stats = [block.tensor(node.statistic) for node in step.stats]
            stats += [block.spectrum(which, node.statistic) for which, node in step.spectra]
            results = function(*stats, *(feed(block) for feed in feeds))
            for node, result in zip(step.exports, results, strict=True):
                if node.kind.axes:
                    self._list(node, block, result)
                else:
                    pieces[node].append(result)
        if pieces:
            self._scatter(step, blocks, pieces)

    def _scatter(
        self, step: Step, blocks: Sequence[Block], pieces: Mapping[Node, list[Tensor]]
    ) -> None:
        """Numbers of the blocks, one for each unit of the domain."""
        total = len(self._layout.owner[step.domain])
        units = torch.cat([block.units for block in blocks])
        for node, found in pieces.items():
            values = torch.cat(found)
            if len(values) < len(units):  # made of what all units of a block share
                spread = [v.expand(len(b.units)) for b, v in zip(blocks, found, strict=True)]
                values = torch.cat(spread)
            values = values.double()
            values = torch.where(torch.isfinite(values), values, torch.nan)
            values = values.new_empty(total).index_copy_(0, units, values)
            own = values[self._layout.firsts(step.domain)] if step.weights else values
            self.numbers[node] = own

    def _list(self, node: Node, block: Block, result: Tensor) -> None:
        entries = result.expand(len(block.units), *result.shape[1:]).unbind(0)
        for unit, entry in zip(block.units.tolist(), entries, strict=True):
            if unit in self._wanted[node]:
                self._listed[node][unit] = entry.clone()  # a view would keep the whole block

    def _feed(self, node: Node, step: Step) -> Callable[[Block], Tensor]:
        """What a pass reads of an imported value for each block."""
        if node in self._teacher:
            taught = share(self._teacher[node])
            return lambda block: taught
        if node in self._gathered:
            gathered = self._gathered[node]
            return lambda block: gathered[int(block.units[0])].unsqueeze(0)
        if node.op == "stat" and node.kind.axes:  # the teacher's
            stored = share(self._layout.blocks(TEACHER, 0)[0].tensor(node.statistic))
            return lambda block: stored
        values = self.number(node)
        if not node.kind.layers and step.domain != NET:
            values = self._per_layer(step.domain, values)
        elif len(values) == 1:
            return lambda block: values
        return lambda block: values[block.units]

    def _teach(self, step: Step, function: Callable[..., tuple[Tensor, ...]]) -> None:
        """The teacher's tensors and numbers, once for all networks."""
        block = self._layout.blocks(TEACHER, step.tier)[0]
        stats = [block.tensor(node.statistic) for node in step.stats]
        results = function(*stats, *(self.number(node) for node in step.imports))
        for node, result in zip(step.exports, results, strict=True):
            if node.kind.axes:
                self._teacher[node] = result
            else:
                number = result.double().reshape(1)
                self.numbers[node] = torch.where(torch.isfinite(number), number, torch.nan)

    # --- gathering ----------------------------------------------------------------------------

    def _gather(self, step: Step, function: Callable[..., tuple[Tensor, ...]]) -> None:
        """A layer list of tensors to one tensor per network."""
        source, node = step.imports[0], step.nodes[0]
        stored = source.op == "stat"
        results = []
        for network, (a, b) in enumerate(self._bounds(step.domain)):
            if stored:
                entries = self._layout.entries(source.statistic, network)
            else:
                own = self._listed[source]
                entries = [own[unit] for unit in range(a, b) if unit in own]
            if not entries:
                raise Failed(node, "a network without layers")
            results.append(function(entries)[0])
        self._gathered[node] = results

    def _bounds(self, domain: str) -> list[tuple[int, int]]:
        """First unit of each network, and the one after its last."""
        return list(pairwise(np.cumsum([0, *self._layout.counts[domain]]).tolist()))

    def _units_for(self, step: Step) -> set[int]:
        """The layers that a gather reads: one of each network, or all."""
        bounds = self._bounds(step.domain)
        if step.nodes[0].op == "first":
            return {a for a, b in bounds if b > a}
        if step.nodes[0].op == "last":
            return {b - 1 for a, b in bounds if b > a}
        return set(range(bounds[-1][1]))


def _failed(error: RuntimeError, program: Program, filename: str) -> Failed:
    """Which node the line that failed computes."""
    lines = [f.line or "" for f in extract_tb(error.__traceback__) if f.filename == filename]
    variable = lines[-1].partition(" = ")[0].strip() if lines else ""
    for step in program.steps:
        for node in step.nodes:
            if program.names[node] == variable:
                return Failed(node, str(error).partition("\n")[0])
    raise error


@lru_cache(maxsize=64)
def _compiled(source: str, passes: tuple[str, ...]) -> dict[str, Callable[..., Any]]:
    """The functions of a program, those of passes compiled for tensors of any size."""
    functions = load(source, f"<autodas-dsl program {next(_PROGRAMS)}>")
    return functions | {name: torch.compile(functions[name], dynamic=True) for name in passes}
