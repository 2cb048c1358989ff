"""From a table to a task: split the architectures, collect their statistics, bind evaluators."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from autodas_dsl.evolution.task import Networks, Task
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.language.kinds import Requirement
from autodas_dsl.scoring import splits
from autodas_dsl.scoring.rank import Setting
from autodas_dsl.scoring.stored import Stored, collect_table
from autodas_dsl.spaces.base import Space
from autodas_dsl.tables.table import Table

Progress = Callable[[int, str], None]


def _silent(done: int, label: str) -> None:
    """No progress shown."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A task, and what its statistics allow."""

    task: Task
    stored: Stored

    def allowed(self, requirement: Requirement) -> bool:
        return self.stored.allowed(requirement)


def prepare(
    table: Table,
    space: Space[Any],
    statistics: Collection[Statistic],
    setting: Setting,
    *,
    target: str | None = None,
    split: str = "half",
    seed: int = 0,
    progress: Progress = _silent,
) -> Prepared:
    """Make a table ready for a search.

    Parameters
    ----------
    table : Table
    space : Space
        Builds the architectures.
    statistics : collection of Statistic
        Everything that formulas may name (`run.statistics_needed`).
    setting : Setting
        Batch, teacher, precision.
    split : str
        How selection and report are parted, see `splits.split`.
    seed : int
        Of split, initial weights and batch.

    Raises
    ------
    InputError
    """
    chosen, accuracies = table.measured(target)
    classes = splits.isomorphism_classes(chosen, space)
    parted = splits.split(classes, split, seed)
    used = [*parted.selection, *parted.report]
    architectures = [chosen.architectures[row] for row in used]
    stored = collect_table(architectures, space, statistics, setting, seed=seed, progress=progress)
    border = len(parted.selection)
    halves = []
    for start, stop, rows in (
        (0, border, parted.selection),
        (border, len(used), parted.report),
    ):
        evaluate = stored.evaluator(range(start, stop))
        halves.append(Networks(evaluate, accuracies[rows]))
    task = Task(
        name=table.name, target=chosen.target(target), selection=halves[0], report=halves[1],
        split=f"{split}, seed {seed}", fingerprint=stored.fingerprint,
    )  # fmt: skip
    return Prepared(task, stored)
