"""Run the stages of a program over a layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from traceback import extract_tb
from typing import Any

import torch
from torch import Tensor

from autodas_dsl.compiler.emit import Names, load
from autodas_dsl.compiler.ir import Node
from autodas_dsl.compiler.kernels import finite, share
from autodas_dsl.compiler.layout import NET, TEACHER, Block, Layout
from autodas_dsl.compiler.memo import Memo
from autodas_dsl.compiler.outcome import ShapeMismatch
from autodas_dsl.compiler.plan import Stage
from autodas_dsl.language.foreign import is_out_of_memory

_PROGRAMS = count()


@dataclass(frozen=True)
class Program:
    """Stages and the Python that runs them.

    Attributes
    ----------
    constants : mapping
        Values of nodes that no statistic enters.
    source : str
        One function per stage, under the stage's name.
    names : Names
        The variable of each node in `source`.
    """

    stages: tuple[Stage, ...]
    constants: Mapping[Node, float]
    source: str
    names: Names


def run(program: Program, layout: Layout, known: Memo, compiled: bool = False) -> Execution:
    """What a program computes of the statistics of a layout.

    Parameters
    ----------
    program : Program
    layout : Layout
    known : Memo
        Numbers that the program takes as known.
    compiled : bool
        Run blocks of tensors through ``torch.compile``.

    Raises
    ------
    ShapeMismatch
        When torch refuses an operation, such as one on shapes that do not fit.
    """
    filename = f"<autodas-dsl program {next(_PROGRAMS)}>"
    if compiled:
        names = tuple(stage.name for stage in program.stages if stage.form == "blocks")
        functions = _compiled(program.source, names)
    else:
        functions = load(program.source, filename)
    execution = Execution(program, layout, known)
    with torch.inference_mode():
        for stage in program.stages:
            try:
                execution.run(stage, functions[stage.name])
            except RuntimeError as error:
                if is_out_of_memory(error):
                    raise
                raise _refused(error, program, filename) from error
    return execution


class Execution:
    """One run of a program.

    Attributes
    ----------
    numbers : dict of Node to Tensor
        What was computed: float64, one number per unit of the node's domain.
    """

    def __init__(self, program: Program, layout: Layout, known: Memo) -> None:
        self.numbers: dict[Node, Tensor] = {}
        self._layout = layout
        self._known = known
        self._teacher: dict[Node, Tensor] = {}
        self._gathered: dict[Node, list[Tensor]] = {}
        self._listed: dict[Node, dict[int, Tensor]] = {}
        self._wanted: dict[Node, set[int]] = {}
        for stage in program.stages:
            if stage.form == "gather":
                source = stage.imports[0]
                self._wanted.setdefault(source, set()).update(self._units_for(stage))
                self._listed[source] = {}

    def run(self, stage: Stage, function: Callable[..., tuple[Tensor, ...]]) -> None:
        if stage.form == "numbers":
            imports = [self.number(node) for node in stage.imports]
            results = function(self._per_network, self._per_layer, *imports)
            self.numbers.update(zip(stage.exports, results, strict=True))
        elif stage.form == "gather":
            self._gather(stage, function)
        else:
            self._blocks(stage, function)

    def number(self, node: Node) -> Tensor:
        """A number per unit, computed now, known before or stored."""
        if node.op == "stat":
            return self._layout.numbers[node.statistic]
        return self.numbers[node] if node in self.numbers else self._known[node]

    def listed(self, node: Node) -> list[Tensor]:
        """The tensors, one per unit, that a gather read."""
        return [tensor for _, tensor in sorted(self._listed[node].items())]

    # --- numbers ------------------------------------------------------------------------------

    def _per_network(self, domain: str, reduce: Callable[..., Tensor], *lists: Tensor) -> Tensor:
        """Reduce the layer list of every network; networks with equally many layers together."""
        owner = self._layout.owner[domain]
        flat = [values.expand(len(owner)) for values in lists]
        result = flat[0].new_full((self._layout.networks,), torch.nan, dtype=torch.float64)
        for members, units in self._layout.of_length(domain):
            result[members] = reduce(*(values[units] for values in flat)).double()
        return result

    def _per_layer(self, domain: str, values: Tensor) -> Tensor:
        """A number per network, repeated for each of its layers."""
        return values.expand(self._layout.networks)[self._layout.owner[domain]]

    # --- blocks -------------------------------------------------------------------------------

    def _blocks(self, stage: Stage, function: Callable[..., tuple[Tensor, ...]]) -> None:
        pieces: dict[Node, list[Tensor]] = {n: [] for n in stage.exports if not n.kind.axes}
        feeds = [self._feed(node, stage) for node in stage.imports]
        blocks = self._layout.blocks(stage.domain, stage.tier, stage.weights)
        for block in blocks:
            tensors = [block.tensor(node.statistic, spectrum) for spectrum, node in stage.reads]
            results = function(*tensors, *(feed(block) for feed in feeds))
            for node, result in zip(stage.exports, results, strict=True):
                if not node.kind.axes:
                    pieces[node].append(result)
                elif stage.domain == TEACHER:
                    self._teacher[node] = result
                else:
                    self._list(node, block, result)
        if pieces:
            self._scatter(stage, blocks, pieces)

    def _scatter(
        self, stage: Stage, blocks: Sequence[Block], pieces: Mapping[Node, list[Tensor]]
    ) -> None:
        """Numbers of the blocks, one for each unit of the domain."""
        total = len(self._layout.owner[stage.domain])
        units = torch.cat([block.units for block in blocks])
        for node, found in pieces.items():
            values = torch.cat(found)
            if len(values) < len(units):  # made of what all units of a block share
                spread = [v.expand(len(b.units)) for b, v in zip(blocks, found, strict=True)]
                values = torch.cat(spread)
            values = finite(values)
            values = values.new_empty(total).index_copy_(0, units, values)
            own = values[self._layout.firsts(stage.domain)] if stage.weights else values
            self.numbers[node] = own

    def _list(self, node: Node, block: Block, result: Tensor) -> None:
        entries = result.expand(len(block.units), *result.shape[1:]).unbind(0)
        for unit, entry in zip(block.units.tolist(), entries, strict=True):
            if unit in self._wanted[node]:
                self._listed[node][unit] = entry.clone()  # a view would keep the whole block

    def _feed(self, node: Node, stage: Stage) -> Callable[[Block], Tensor]:
        """What a stage reads of an imported value for each block."""
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
        if not node.kind.layers and stage.domain != NET:
            values = self._per_layer(stage.domain, values)
        elif len(values) == 1:
            return lambda block: values
        return lambda block: values[block.units]

    # --- gathering ----------------------------------------------------------------------------

    def _gather(self, stage: Stage, function: Callable[..., tuple[Tensor, ...]]) -> None:
        """A layer list of tensors to one tensor per network."""
        source, node = stage.imports[0], stage.nodes[0]
        stored = source.op == "stat"
        results = []
        for network, (a, b) in enumerate(self._layout.bounds[stage.domain]):
            if stored:
                entries = self._layout.entries(source.statistic, network)
            else:
                own = self._listed[source]
                entries = [own[unit] for unit in range(a, b) if unit in own]
            if not entries:
                raise ShapeMismatch(node, "needs a layer in every network")
            results.append(function(entries)[0])
        self._gathered[node] = results

    def _units_for(self, stage: Stage) -> set[int]:
        """The layers that a gather reads: one of each network, or all."""
        bounds = self._layout.bounds[stage.domain]
        if stage.nodes[0].op == "first":
            return {a for a, b in bounds if b > a}
        if stage.nodes[0].op == "last":
            return {b - 1 for a, b in bounds if b > a}
        return set(range(bounds[-1][1]))


def _refused(error: RuntimeError, program: Program, filename: str) -> ShapeMismatch:
    """Which node the line that failed computes."""
    lines = [f.line or "" for f in extract_tb(error.__traceback__) if f.filename == filename]
    variable = lines[-1].partition(" = ")[0].strip() if lines else ""
    for stage in program.stages:
        for node in stage.nodes:
            if program.names[node] == variable:
                return ShapeMismatch(node, str(error).partition("\n")[0])
    raise error


@lru_cache(maxsize=64)
def _compiled(source: str, names: tuple[str, ...]) -> dict[str, Callable[..., Any]]:
    """The functions of a program, some of them compiled for tensors of any size."""
    functions = load(source, f"<autodas-dsl program {next(_PROGRAMS)}>")
    return functions | {name: torch.compile(functions[name], dynamic=True) for name in names}
