"""Evaluate many formulas on many networks: one DAG, every value per layer computed once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from autodas_dsl.compiler.execute import Execution, Failed
from autodas_dsl.compiler.interpret import Invalid, Values, interpret
from autodas_dsl.compiler.ir import Node, topological
from autodas_dsl.compiler.layout import Layout
from autodas_dsl.compiler.memo import Memo
from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.compiler.plan import MixedLists
from autodas_dsl.compiler.program import Program, build_program

MEMORY = 2 << 30
_TOGETHER = 64  # formulas in one program


class Engine:
    """Evaluates formulas on the stored statistics of a fixed set of networks.

    Parameters
    ----------
    collected : sequence of Values
        One per network, all with the same statistics.
    memory : int
        Bytes that the engine may keep beside `collected`: a quarter for numbers that were
        computed before, the rest for statistics laid out for evaluation. Never changes a result.
    """

    def __init__(self, collected: Sequence[Values], memory: int = MEMORY) -> None:
        self._collected = collected
        self._layout = Layout(collected, memory - memory // 4)
        self._memo = Memo(memory // 4)
        self._refused: set[Node] = set()
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
        outcomes: list[Outcome] = []
        for start in range(0, len(roots), _TOGETHER):
            outcomes += self._evaluate(roots[start : start + _TOGETHER], every_reason)
        return outcomes

    def _evaluate(self, roots: Sequence[Node], every_reason: bool) -> list[Outcome]:
        while True:
            fit = [root for root in roots if not self._is_refused(root)]
            try:
                program = build_program(fit, self._memo.__contains__, self._layout)
                execution = Execution(self._layout, self._memo)
                execution.run(program)
                break
            except (Failed, MixedLists) as error:
                self._refused.add(error.node)
        self.computed += sum(len(step.nodes) for step in program.steps)
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

    def _is_refused(self, root: Node) -> bool:
        return bool(self._refused) and not self._refused.isdisjoint(topological([root]))

    def _outcome(
        self, root: Node, program: Program, execution: Execution, every_reason: bool
    ) -> Outcome:
        if root in program.constants:
            scores = np.full(self.networks, program.constants[root])
        else:
            scores = execution.number(root).expand(self.networks).numpy().copy()
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


__all__ = ["MEMORY", "Engine", "Program", "build_program"]
