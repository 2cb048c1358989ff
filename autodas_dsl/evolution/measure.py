"""What is reported about formulas when a search is over: agreement on both halves of each table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat

import numpy as np
import numpy.typing as npt

from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.evaluation.agreement import Agreement, agreement
from autodas_dsl.evaluation.best import ndcg, overlap
from autodas_dsl.evaluation.correlations import STATISTICS
from autodas_dsl.evaluation.rank import BEST as TEN
from autodas_dsl.evolution.task import Networks, Task
from autodas_dsl.language.format import format_number

PARAMS = "params"
SELECTION, HELD_OUT = "selection", "held-out"
SPEARMAN = "spearman"
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Measured:
    """Agreement of one formula with the accuracies of some architectures.

    Attributes
    ----------
    task, target, split : str
        The table, its column, and how it was split.
    half : str
        ``selection`` or ``held-out``.
    agreement : Agreement
        With the interval of Spearman.
    """

    task: str
    target: str
    split: str
    half: str
    agreement: Agreement


def measured(task: Task, half: str, networks: Networks, outcome: Outcome) -> Measured:
    """Measure scores on the selection or report half of a table."""
    found = agreement(outcome.scores, networks.accuracies, (SPEARMAN,))
    if found.reason:
        found = replace(found, reason=first_reason([outcome]) or found.reason)
    return Measured(task.name, task.target, task.split, half, found)


def on_both_halves(
    tasks: Sequence[Task], selection: Sequence[Outcome], report: Sequence[Outcome]
) -> tuple[tuple[Measured, ...], tuple[Measured, ...]]:
    """What one formula reaches on the selection and on the held-out architectures.

    Parameters
    ----------
    tasks : sequence of Task
    selection, report : sequence of Outcome
        One per table; no `report` where nothing is held out.
    """
    held = [task.report for task in tasks if task.report] if report else []
    return (
        tuple(map(measured, tasks, repeat(SELECTION), (t.selection for t in tasks), selection)),
        tuple(map(measured, tasks, repeat(HELD_OUT), held, report)),
    )


@dataclass(frozen=True, eq=False)
class TableScores:
    """Scores of the best formula and the baselines on the architectures of one table.

    Parameters
    ----------
    task, target : str
    architectures : tuple of str
        Those of the selection first.
    held_out : bool array [n]
    accuracies : float64 array [n]
    scores : dict of str to float64 array [n]
        ``best`` first; NaN where invalid.
    reasons : dict of str to str
        Why the first invalid score of a formula is invalid.
    """

    task: str
    target: str
    architectures: tuple[str, ...]
    held_out: npt.NDArray[np.bool_]
    accuracies: Floats
    scores: dict[str, Floats] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def halves(self) -> list[str]:
        """The half of each architecture."""
        return [HELD_OUT if held else SELECTION for held in self.held_out]

    def compared(
        self, held_out: bool, intervals: Sequence[str] = STATISTICS
    ) -> dict[str, Agreement]:
        """How each formula ranks one half of the architectures, the best formula first."""
        half = self.held_out == held_out
        found = {
            name: agreement(values[half], self.accuracies[half], intervals)
            for name, values in self.scores.items()
        }
        return {
            name: replace(one, reason=self.reasons.get(name) or one.reason)
            for name, one in found.items()
        }

    def best_ten(self, held_out: bool) -> dict[str, dict[str, float | None]]:
        """How much of the best each formula puts first on one half: nDCG@10, and the share of the
        ten most accurate among the ten highest scores; None on ten architectures or fewer."""
        half = self.held_out == held_out
        accuracies = self.accuracies[half]
        return {
            name: {
                "ndcg_10": ndcg(values[half], accuracies, TEN),
                "top_10": overlap(values[half], accuracies, TEN),
            }
            for name, values in self.scores.items()
        }


def fact_line(found: Measured, params: Measured | None) -> str:
    """The text of a `measured:` line in a document."""
    whole = found.agreement
    parts = [found.task, f"target={found.target}"]
    parts += [f"split={found.split}"] if found.split else []
    parts += [f"half={found.half}", f"n={whole.n}"]
    parts += [f"invalid={whole.invalid}"] if whole.invalid else []
    for name, value in (("kendall", whole.kendall), ("spearman", whole.spearman)):
        parts.append(f"{name}={shown(value)}")
    for interval in filter(None, [whole.intervals.get(SPEARMAN)]):
        parts.append(f"interval={shown(interval.low)}..{shown(interval.high)}")
    if params is not None:
        parts.append(f"params={shown(params.agreement.spearman)}")
    return " ".join(parts)


def shown(value: float | None) -> str:
    """Four decimals; "undefined" where there is no number."""
    return "undefined" if value is None else format_number(round(value, 4))


def first_reason(outcomes: Sequence[Outcome]) -> str:
    """Why the first invalid score is invalid, or the empty text."""
    return next((reason for o in outcomes for reason in o.reasons if reason), "")
