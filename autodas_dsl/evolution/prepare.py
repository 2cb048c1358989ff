"""From a table to a task: split the architectures, have their statistics collected, bind evaluators."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Any

from autodas_dsl.evaluation import splits
from autodas_dsl.evolution.shards import Shard, Sharded, shards, sharing
from autodas_dsl.evolution.task import Evaluator, Networks, Task
from autodas_dsl.execution.jobs import Executor
from autodas_dsl.execution.progress import Progress, silent
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.language.kinds import Requirement
from autodas_dsl.scoring.collecting import collecting
from autodas_dsl.scoring.setting import Setting
from autodas_dsl.scoring.stored import (
    Evaluate,
    Keeping,
    Known,
    Laid,
    Limits,
    Part,
    collected_by,
    where_fitting,
)
from autodas_dsl.spaces.base import Space
from autodas_dsl.statistics.store import Store
from autodas_dsl.tables.table import Table

Portion = Sequence[Sequence[int]]
"""The rows of a half or a screen, in shards."""

RACED_FROM = 200
"""Selection architectures from which formulas are raced on a part of them first."""

RACED_ON = 64

SCREENED_ON = 24
"""Architectures that a screen looks at, on a sample of their statistics (benchmarks/README.md)."""

MEMORY = 4 << 30
_COPIES = 2  # the statistics, and the flat buffers that an engine makes of them
_TEMPORARIES = 48 << 20  # bytes of the largest values that are made and dropped, in one process


@dataclass(frozen=True, eq=False)
class Prepared:
    """A task, and what is known of the statistics behind it."""

    task: Task
    known: Known

    def allowed(self, requirement: Requirement) -> bool:
        return self.known.allowed(requirement)


def prepare(
    table: Table,
    space: Space[Any],
    statistics: Collection[Statistic],
    setting: Setting,
    executor: Executor,
    *,
    optional: Collection[Statistic] = (),
    target: str | None = None,
    split: str = "half",
    beside: Sequence[str] = (),
    seed: int = 0,
    screening: bool = False,
    store: Store | None = None,
    memory: int = MEMORY,
    thin: int = 0,
    progress: Progress = silent,
) -> Prepared:
    """Make a table ready for a search, as long as the executor is open.

    The workers that evaluate formulas on a network collect its statistics, which stay with them.

    Parameters
    ----------
    table : Table
    space : Space
        Builds the architectures.
    statistics : collection of Statistic
        Everything that formulas may name (`run.statistics_needed`).
    setting : Setting
        Batch, teacher, precision.
    executor : Executor
        The scores do not depend on it.
    optional : collection of Statistic
        What formulas beside the search name: one whose statistics these networks do not have is
        invalid, with the reason.
    split : str
        How selection and report are parted, see `splits.split`.
    beside : sequence of str
        Isomorphism classes of the other tables of the search that share the space: what one
        table selects on, no other reports on.
    seed : int
        Of split, initial weights and batch.
    screening : bool
        Look at formulas on `SCREENED_ON` architectures and a sample of their statistics first
        (see `scoring.thinning`). Selections of `RACED_FROM` architectures or more are raced on
        `RACED_ON` of them in any case.
    store : Store, optional
        Keeps the statistics for the next search.
    memory : int
        Bytes that statistics and the buffers made of them may take together, in all workers;
        statistics that take more lie on disk. Changes no score.
    thin : int
        0, or bytes that activations are thinned to, where they and buffers would take more.

    Raises
    ------
    InputError
        E612 when those of the teacher do not fit into `memory`.
    """
    chosen, accuracies = table.measured(target)
    classes = splits.isomorphism_classes(chosen, space)
    parted = _own(splits.split([*classes, *beside], split, seed), len(classes))
    used = [*parted.selection, *parted.report]
    architectures = [chosen.architectures[row] for row in used]
    border = len(parted.selection)
    halves = [range(border), range(border, len(used))]
    names, known_accuracies = architectures[:border], accuracies[parted.selection]
    looked_at = {SCREENED_ON: screening, RACED_ON: border >= RACED_FROM}
    screens = [
        splits.stratified(names, known_accuracies, size, seed).tolist()
        for size, wanted in looked_at.items()
        if wanted
    ]
    portions = [
        [[half[place] for place in shard] for shard in shards(len(half))]
        for half in (*halves, *screens)
    ]
    described, absent = collecting(space, statistics, optional, setting, seed, store)
    keeping = Keeping(
        described,
        tuple(
            Part(tuple(architectures[row] for row in rows), screening and number == len(halves))
            for number, portion in enumerate(portions)
            for rows in portion
        ),
    )
    places = _places(portions[: len(halves)], executor.workers)
    placed = {architectures[row]: place for row, place in places.items()}
    known, laid = collected_by(
        executor, keeping, described, architectures, placed, absent,
        Limits(memory // _COPIES, thin // _COPIES if thin else math.inf), progress,
    )  # fmt: skip
    left = _left(known, memory, executor.workers)
    evaluators = _evaluators(executor, keeping, portions, laid, left)
    networks = [
        Networks(
            where_fitting(known.misfit, evaluate, len(half)),
            accuracies[[used[row] for row in half]],
        )
        for evaluate, half in zip(evaluators, (*halves, *screens), strict=True)
    ]
    task = Task(
        name=table.name, target=chosen.target(target), selection=networks[0], report=networks[1],
        screens=tuple(networks[2:]), split=f"{split}, seed {seed}",
        fingerprint=f"{known.fingerprint}{' screened' if screening else ''}",
    )  # fmt: skip
    return Prepared(task, known)


def _places(portions: Sequence[Portion], workers: int) -> dict[int, int]:
    """For each row the place of a worker that evaluates its shard; those of one shard share it."""
    found: dict[int, int] = {}
    for portion in portions:
        hands = sharing(workers, len(portion))
        for number, rows in enumerate(portion):
            found |= {row: number * hands + place % hands for place, row in enumerate(rows)}
    return found


def _evaluators(
    executor: Executor, keeping: Keeping, portions: Sequence[Portion], laid: Laid, memory: int
) -> list[Evaluator]:
    """An evaluator for each portion; every network has the same share of the memory."""
    share = memory // sum(len(rows) for portion in portions for rows in portion)
    parts = count()
    found: list[Evaluator] = []
    for portion in portions:
        engines = sharing(executor.workers, len(portion))
        own = [
            Shard(keeping, len(rows),
                  partial(Evaluate, next(parts), laid, share * len(rows) // engines))
            for rows in portion
        ]  # fmt: skip
        found.append(Sharded(executor, own))
    return found


def _left(known: Known, memory: int, workers: int) -> int:
    """Bytes that engines may take beside the statistics and what formulas need for a moment."""
    if known.bytes > memory // _COPIES:
        raise InputError(
            "E612",
            f"the statistics of the teacher take {known.bytes / 2**20:.0f} MiB, and as much again "
            f"to be evaluated; the limit is {memory / 2**20:.0f} MiB",
            "raise --memory, or search with fewer --inputs",
        )
    left = memory - known.bytes
    return left - min(workers * _TEMPORARIES, left // 2)


def _own(parted: splits.Split, rows: int) -> splits.Split:
    """The part of a split that is about the first `rows` rows."""
    return replace(
        parted, selection=parted.selection[parted.selection < rows],
        report=parted.report[parted.report < rows],
    )  # fmt: skip
