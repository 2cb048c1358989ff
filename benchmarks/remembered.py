"""Scores of formulas on all architectures of a table, each formula evaluated once.

Searches over different parts of a table share them; in a journal they outlive the process.
"""

from __future__ import annotations

from collections.abc import Sequence

from autodas_dsl.compiler.ir import Node
from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.evaluation import splits
from autodas_dsl.evolution.journal import Fact, Memory
from autodas_dsl.evolution.task import Evaluator, Floats, Networks, Task


class Remembered:
    """Scores on all architectures.

    Parameters
    ----------
    table : str
        What the scores are of, in the journal.
    evaluate : Evaluator
        Of all architectures.
    journal : Memory, optional
    """

    def __init__(self, table: str, evaluate: Evaluator, journal: Memory | None = None) -> None:
        self._table, self._evaluate = table, evaluate
        self._journal = journal if journal is not None else Memory()

    def __len__(self) -> int:
        return len(self._journal.facts)

    def on(self, rows: Sequence[int]) -> Evaluator:
        """The evaluator over some of the architectures."""

        def evaluate(nodes: Sequence[Node]) -> list[Outcome]:
            facts = [Fact(self._table, "all", repr(node)) for node in nodes]
            known = self._journal.facts
            new = {f: n for f, n in zip(facts, nodes, strict=True) if f not in known}
            outcomes = self._evaluate(list(new.values())) if new else []
            self._journal.append(zip(new, outcomes, strict=True))
            return [_part(known[fact], rows) for fact in facts]

        return evaluate

    def task(self, name: str, target: str, parted: splits.Split, accuracies: Floats) -> Task:
        """The search on one split."""
        selection, report = (
            Networks(self.on(rows.tolist()), accuracies[rows])
            for rows in (parted.selection, parted.report)
        )
        return Task(name, target, selection, report)


def _part(outcome: Outcome, rows: Sequence[int]) -> Outcome:
    return Outcome(outcome.scores[list(rows)], tuple(outcome.reasons[row] for row in rows))
