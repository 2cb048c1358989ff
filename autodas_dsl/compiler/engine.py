"""Evaluate many formulas on many networks: one DAG, every value per layer computed once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from autodas_dsl.compiler import pipeline
from autodas_dsl.compiler.execute import Execution, Program
from autodas_dsl.compiler.interpret import interpret
from autodas_dsl.compiler.ir import Node, topological
from autodas_dsl.compiler.layout import Layout, Values
from autodas_dsl.compiler.memo import Memo
from autodas_dsl.compiler.outcome import Invalid, Outcome, ShapeMismatch
from autodas_dsl.compiler.reading import reading
from autodas_dsl.language.foreign import is_out_of_memory

MEMORY = 2 << 30
_TOGETHER = 128  # formulas in one program


class Engine:
    """Evaluates formulas on the stored statistics of a fixed set of networks.

    Parameters
    ----------
    collected : sequence of Values
        One per network, all with the same statistics.
    compiled : bool
        Run each pass over tensors through ``torch.compile``: seconds for every new formula, kept
        for the next engine with the same formula.
    memory : int
        Bytes that the engine may keep beside `collected`: a quarter for numbers that were
        computed before, the rest for statistics laid out for evaluation. Never changes a result.
    """

    def __init__(
        self, collected: Sequence[Values], compiled: bool = False, *, memory: int = MEMORY
    ) -> None:
        self._collected = collected
        self._compiled = compiled
        self._layout = Layout(collected, memory - memory // 4)
        self._memo = Memo(memory // 4)
        self._refused: set[Node] = set()
        self.computed = 0

    @property
    def networks(self) -> int:
        return len(self._collected)

    def evaluate(self, roots: Sequence[Node], every_reason: bool = False) -> list[Outcome]:
        """Scores of formulas on all networks.

        Parameters
        ----------
        roots : sequence of Node
            Numbers.
        every_reason : bool
            Find the operator to blame for every invalid network, not only for the first.

        Raises
        ------
        RuntimeError, MemoryError
            When memory does not suffice for one formula alone.
        """
        roots = [self._read(root) for root in roots]
        outcomes: list[Outcome] = []
        for start in range(0, len(roots), _TOGETHER):
            outcomes += self._together(roots[start : start + _TOGETHER], every_reason)
        return outcomes

    def _together(self, roots: Sequence[Node], every_reason: bool) -> list[Outcome]:
        """Half of the formulas after the other where memory does not hold what all compute."""
        try:
            return self._evaluate(roots, every_reason)
        except (RuntimeError, MemoryError) as error:
            if len(roots) == 1 or not is_out_of_memory(error):
                raise
        half = len(roots) // 2
        return self._together(roots[:half], every_reason) + self._together(
            roots[half:], every_reason
        )

    def excess(self, root: Node) -> str:
        """Why a formula is far too much work for a search; empty where it is not."""
        return self._layout.costs.excess(self._read(root))

    def _read(self, root: Node) -> Node:
        return reading(root, self._collected[0].values) if self._collected else root

    def _evaluate(self, roots: Sequence[Node], every_reason: bool) -> list[Outcome]:
        while True:
            fit = [root for root in roots if self._fits(root)]
            try:
                program = pipeline.build(fit, self._memo.__contains__, self._layout)
                execution = pipeline.run(program, self._layout, self._memo, self._compiled)
                break
            except ShapeMismatch as error:
                self._refused.add(error.node)
        self.computed += sum(len(stage.nodes) for stage in program.stages)
        accepted = set(fit)
        outcomes = [
            self._outcome(root, program, execution, every_reason)
            if root in accepted
            else self._one_by_one(root)
            for root in roots
        ]
        for node, value in execution.numbers.items():
            self._memo.add(node, value)
        return outcomes

    def _fits(self, root: Node) -> bool:
        """Whether no node of a formula is known not to fit these networks."""
        return not self._refused or self._refused.isdisjoint(topological([root]))

    def _outcome(
        self, root: Node, program: Program, execution: Execution, every_reason: bool
    ) -> Outcome:
        if root in program.constants:
            scores = np.full(self.networks, program.constants[root])
        else:
            scores = np.array(
                execution.number(root).expand(self.networks).tolist(), dtype=np.float64
            )
        scores[~np.isfinite(scores)] = np.nan
        reasons = [""] * self.networks
        found = ""
        for network in np.flatnonzero(np.isnan(scores)).tolist():
            if every_reason or not found:
                found = self._reason(root, network)
            reasons[network] = found
        return Outcome(scores, tuple(reasons))

    def _reason(self, root: Node, network: int) -> str:
        try:
            value = interpret(root, self._collected[network])
        except Invalid as error:
            return str(error)
        return f"not finite in a batch of networks, {value} alone"

    def _one_by_one(self, root: Node) -> Outcome:
        """A formula that some network's shapes do not fit, on each network alone."""
        scores = np.full(self.networks, np.nan)
        reasons = [""] * self.networks
        with torch.inference_mode():
            for network, collected in enumerate(self._collected):
                try:
                    scores[network] = interpret(root, collected)
                except Invalid as error:
                    reasons[network] = str(error)
        return Outcome(scores, tuple(reasons))
