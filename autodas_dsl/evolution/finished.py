"""A finished search, as it is handed on and written."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.evolution.best_sum import BestSum
from autodas_dsl.evolution.evaluator import Counts
from autodas_dsl.evolution.journal import Fact
from autodas_dsl.evolution.measure import Measured
from autodas_dsl.evolution.run_records import (
    BEST,
    SUM,
    Entry,
    Found,
    FoundSum,
    Generation,
    Null,
)
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.language.shown import Shown


@dataclass(frozen=True)
class Run(Shown):
    """A finished search.

    Attributes
    ----------
    best : Proxy
        The fittest formula as a document, a leading minus where lower scores are better.
    pareto : tuple of Proxy
        Formulas that are better than every simpler one, simplest first.
    entries : tuple of Entry
        The hall of fame, simplest first.
    champion : Entry
        The entry of `best`.
    baselines : mapping of str to tuple of Measured
        Selection and held-out agreement of each baseline.
    steps : tuple of Generation
        One per generation, the first population included.
    counts : Counts
    stopped : str
        Why the search ended: ``iterations``, ``time``, ``evaluations``, ``patience``, ``target``
        or ``interrupt``.
    folder : Path or None
    facts : mapping of Fact to Outcome
        Everything evaluated.
    null : Null, optional
        What the same search finds in shuffled accuracies, where that was asked for.
    sum : BestSum, optional
        The best sum of the formulas found, where one is better than each of them.
    """

    best: Proxy
    pareto: tuple[Proxy, ...]
    entries: tuple[Entry, ...]
    champion: Entry
    baselines: dict[str, tuple[Measured, ...]]
    steps: tuple[Generation, ...]
    counts: Counts
    stopped: str
    folder: Path | None = None
    facts: Mapping[Fact, Outcome] = field(default_factory=dict, repr=False, compare=False)
    null: Null | None = None
    sum: BestSum | None = None

    @property
    def found(self) -> Found:
        """The outcome, as ``run.json`` keeps it."""
        best, summed = self.champion, self.sum
        measured = {BEST: (*best.selection, *best.held_out)}
        if summed:
            measured[SUM] = (*summed.selection, *summed.held_out)
        return Found(
            self.stopped, best.formula, best.individual.complexity, best.individual.tau,
            self.counts, {**measured, **self.baselines},
            FoundSum(summed.formula, summed.complexity, summed.tau) if summed else None,
        )  # fmt: skip

    @property
    def hall_of_fame(self) -> Any:
        """A pandas frame where pandas is installed, else a list of rows."""
        rows = [entry.row() for entry in self.entries]
        if importlib.util.find_spec("pandas") is None:
            return rows
        return importlib.import_module("pandas").DataFrame(rows)
