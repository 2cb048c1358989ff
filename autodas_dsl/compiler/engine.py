"""Evaluate many formulas on many networks: one DAG, every value per layer computed once."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from autodas_dsl.compiler.cost import Costs
from autodas_dsl.compiler.execute import Execution, Failed
from autodas_dsl.compiler.interpret import Invalid, Values, interpret
from autodas_dsl.compiler.ir import Node, topological
from autodas_dsl.compiler.layout import Arrangement, Layout, Room, arrange
from autodas_dsl.compiler.memo import Memo
from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.compiler.plan import MixedLists
from autodas_dsl.compiler.program import Program, build_program
from autodas_dsl.language.inputs import Statistic

MEMORY = 2 << 30
_SCOUT_MEMORY = 64 << 20
_TOGETHER = 64  # formulas in one program


class Engine:
    """Evaluates formulas on the stored statistics of a fixed set of networks.

    Parameters
    ----------
    collected : sequence of Values
        One per network of a table, all with the same statistics.
    memory : int
        Bytes that the engine may keep beside `collected`: a quarter for numbers that were
        computed before, the rest for statistics laid out for evaluation. Never changes a result.
    arrangement : Arrangement, optional
        Of the table, when it is known already.
    shards : collection of int, optional
        Which shards of the arrangement to evaluate: all, unless given. Networks of other shards
        are not looked at, and their scores are NaN without a reason.
    """

    def __init__(
        self,
        collected: Sequence[Values],
        memory: int = MEMORY,
        *,
        arrangement: Arrangement | None = None,
        shards: Collection[int] | None = None,
    ) -> None:
        self._collected = collected
        self._arrangement = arrangement or arrange(collected)
        everything = self._arrangement.shards
        chosen = range(len(everything)) if shards is None else sorted(shards)
        room = Room(memory - memory // 4)
        budget = memory // 4 // max(1, len(chosen))
        self._shards = [
            _Shard(everything[i], collected, self._arrangement, room, budget) for i in chosen
        ]
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
            Find the operator to blame for every invalid network, not only for one of each shard.
        """
        outcomes: list[Outcome] = []
        for start in range(0, len(roots), _TOGETHER):
            outcomes += self._evaluate(roots[start : start + _TOGETHER], every_reason)
        return outcomes

    def evaluate_early(self, roots: Sequence[Node]) -> list[Outcome]:
        """As `evaluate`, but a formula that is invalid on the smallest network, or far too much
        work, is invalid on all.

        For searches, which reject a formula that is invalid anywhere: it costs them next to
        nothing then.
        """
        reasons = self.scout.reasons(roots)
        passed = [root for root, reason in zip(roots, reasons, strict=True) if not reason]
        found = dict(zip(passed, self.evaluate(passed), strict=True))
        return [
            found[root] if root in found else nowhere(reason, self.networks)
            for root, reason in zip(roots, reasons, strict=True)
        ]

    @cached_property
    def scout(self) -> Scout:
        return Scout(self._collected, self._arrangement)

    def _evaluate(self, roots: Sequence[Node], every_reason: bool) -> list[Outcome]:
        scores = np.full((len(roots), self.networks), np.nan)
        reasons = [[""] * self.networks for _ in roots]
        for shard, values in zip(self._shards, self._values(roots), strict=True):
            for place, root in enumerate(roots):
                own, why = shard.outcome(root, values, every_reason)
                scores[place, list(shard.members)] = own
                for network, reason in zip(shard.members, why, strict=True):
                    reasons[place][network] = reason
        return [Outcome(s, tuple(r)) for s, r in zip(scores, reasons, strict=True)]

    def _values(self, roots: Sequence[Node]) -> list[dict[Node, Tensor]]:
        """The values of formulas on each shard; those that do not fit a shard are left out."""
        found: list[dict[Node, Tensor]] = [{} for _ in self._shards]
        waiting = list(range(len(self._shards)))
        while waiting:
            fit = self._shards[waiting[0]].fitting(roots)
            alike = [i for i in waiting if self._shards[i].fitting(roots) == fit]
            try:
                program = self._program(fit, alike)
            except MixedLists as error:
                for shard in self._shards:
                    shard.refused.add(error.node)
                continue
            for i in alike:
                try:
                    found[i] = self._shards[i].run(program, fit)
                except Failed as error:
                    self._shards[i].refused.add(error.node)
                else:
                    waiting.remove(i)
        return found

    def _program(self, roots: Sequence[Node], shards: Sequence[int]) -> Program:
        memos = [self._shards[i].memo for i in shards]
        program = build_program(roots, lambda node: all(node in memo for memo in memos), self)
        self.computed += sum(len(step.nodes) for step in program.steps)
        return program

    # --- places -------------------------------------------------------------------------------

    def domain(self, statistic: Statistic) -> str:
        return self._arrangement.domains[statistic]

    def is_finite(self, statistic: Statistic) -> bool:
        return all(shard.layout.is_finite(statistic) for shard in self._shards)


class _Shard:
    """Networks that are evaluated together, and what is known about them."""

    def __init__(
        self,
        members: tuple[int, ...],
        collected: Sequence[Values],
        arrangement: Arrangement,
        room: Room,
        budget: int,
    ) -> None:
        self.members = members
        self.layout = Layout([collected[n] for n in members], arrangement, room)
        self.memo = Memo(budget)
        self.refused: set[Node] = set()
        self._collected = [collected[n] for n in members]

    def fitting(self, roots: Sequence[Node]) -> list[Node]:
        """The formulas in which no node is known not to fit these networks."""
        if not self.refused:
            return list(roots)
        return [root for root in roots if self.refused.isdisjoint(topological([root]))]

    def run(self, program: Program, roots: Sequence[Node]) -> dict[Node, Tensor]:
        """The value of each formula: one number per network, or one for all.

        Raises
        ------
        Failed
        """
        execution = Execution(self.layout, self.memo)
        execution.run(program)
        found = {
            root: torch.tensor([program.constants[root]], dtype=torch.float64)
            if root in program.constants
            else execution.number(root)
            for root in roots
        }
        for node, value in execution.numbers.items():
            self.memo.add(node, value)
        return found

    def outcome(
        self, root: Node, values: dict[Node, Tensor], every_reason: bool
    ) -> tuple[np.ndarray, list[str]]:
        """Scores and reasons of one formula."""
        if root not in values:
            return self._one_by_one(root)
        scores = values[root].expand(len(self.members)).numpy().copy()
        scores[~np.isfinite(scores)] = np.nan
        reasons = [""] * len(scores)
        found = ""
        for network in np.flatnonzero(np.isnan(scores)).tolist():
            if every_reason or not found:
                found = self._reason(root, network)
            reasons[network] = found
        return scores, reasons

    def _reason(self, root: Node, network: int) -> str:
        try:
            value = interpret(root, self._collected[network])
        except Invalid as error:
            return str(error)
        return f"not finite in a batch of networks, {value} alone"

    def _one_by_one(self, root: Node) -> tuple[np.ndarray, list[str]]:
        """A formula that some network's shapes do not fit, on each network alone."""
        scores = np.full(len(self.members), np.nan)
        reasons = [""] * len(self.members)
        with torch.inference_mode():
            for network, collected in enumerate(self._collected):
                try:
                    scores[network] = interpret(root, collected)
                except Invalid as error:
                    reasons[network] = str(error)
        return scores, reasons


class Scout:
    """Tells formulas that no search wants from the smallest network of a table.

    Parameters
    ----------
    collected : sequence of Values
        All networks of the table.
    arrangement : Arrangement
    """

    def __init__(self, collected: Sequence[Values], arrangement: Arrangement) -> None:
        self._engine = Engine([collected[arrangement.smallest]], _SCOUT_MEMORY)
        self._costs = Costs(collected)

    def reasons(self, roots: Sequence[Node]) -> list[str]:
        """Why each formula is not worth evaluating; empty where it may be."""
        found = [self._costs.excess(root) for root in roots]
        left = [root for root, reason in zip(roots, found, strict=True) if not reason]
        tried = dict(zip(left, self._engine.evaluate(left), strict=True))
        return [reason or tried[root].reasons[0] for root, reason in zip(roots, found, strict=True)]


def nowhere(reason: str, networks: int) -> Outcome:
    """Invalid on all networks, for one reason."""
    return Outcome(np.full(networks, np.nan), (reason,) * networks)


__all__ = ["MEMORY", "Engine", "Program", "Scout", "build_program", "nowhere"]
