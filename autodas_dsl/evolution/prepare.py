"""From a table to a task: split the architectures, collect their statistics, bind evaluators."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from autodas_dsl.evaluation import splits
from autodas_dsl.evolution.shards import Shard, Sharded, shards, sharing
from autodas_dsl.evolution.shared import Shared, mapped
from autodas_dsl.evolution.task import Evaluator, Networks, Task
from autodas_dsl.execution.jobs import Executor
from autodas_dsl.execution.executors import local
from autodas_dsl.execution.progress import Progress, silent
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.language.kinds import Requirement
from autodas_dsl.scoring.setting import Setting
from autodas_dsl.scoring.stored import Stored, collect_table
from autodas_dsl.scoring.thinning import SCREEN, size_of, thinned
from autodas_dsl.spaces.base import Space
from autodas_dsl.statistics.store import Store
from autodas_dsl.tables.table import Table

Portion = tuple[Stored | Path, Sequence[int]]

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
    """A task, and the statistics behind it."""

    task: Task
    stored: Stored

    def allowed(self, requirement: Requirement) -> bool:
        return self.stored.allowed(requirement)


@dataclass(frozen=True, eq=False)
class Load:
    """Makes the evaluator of a shard, from statistics at hand or in a file of the parent process."""

    statistics: Stored | Path
    rows: Sequence[int]
    memory: int

    def __call__(self) -> Evaluator:
        part = _part(_opened(self.statistics), self.rows)
        return part.evaluator(range(len(self.rows)), self.memory)


@contextmanager
def prepare(
    table: Table,
    space: Space[Any],
    statistics: Collection[Statistic],
    setting: Setting,
    *,
    optional: Collection[Statistic] = (),
    target: str | None = None,
    split: str = "half",
    beside: Sequence[str] = (),
    seed: int = 0,
    workers: int = 1,
    screening: bool = False,
    store: Store | None = None,
    memory: int = MEMORY,
    progress: Progress = silent,
) -> Iterator[Prepared]:
    """Make a table ready for a search, until the context ends.

    Parameters
    ----------
    table : Table
    space : Space
        Builds the architectures.
    statistics : collection of Statistic
        Everything that formulas may name (`run.statistics_needed`).
    setting : Setting
        Batch, teacher, precision.
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
    workers : int
        Processes that evaluate; with one, this process does. The scores do not depend on it.
    screening : bool
        Look at formulas on `SCREENED_ON` architectures and a sample of their statistics first
        (see `scoring.thinning`). Selections of `RACED_FROM` architectures or more are raced on
        `RACED_ON` of them in any case.
    store : Store, optional
        Keeps the statistics for the next search.
    memory : int
        Bytes that statistics and the buffers made of them may take together; activations are
        thinned until they fit.

    Raises
    ------
    InputError
        E612 when the statistics do not fit into `memory`.
    """
    chosen, accuracies = table.measured(target)
    classes = splits.isomorphism_classes(chosen, space)
    parted = _own(splits.split([*classes, *beside], split, seed), len(classes))
    used = [*parted.selection, *parted.report]
    architectures = [chosen.architectures[row] for row in used]
    stored = collect_table(
        architectures, space, statistics, setting, optional=optional, seed=seed, store=store,
        memory=memory // _COPIES, progress=progress,
    )  # fmt: skip
    with ExitStack() as resources:
        shared = Shared(resources) if workers > 1 else None
        source = shared.keep(stored) if shared else stored
        stored = _opened(source)
        border = len(parted.selection)
        halves = [list(range(border)), list(range(border, len(used)))]
        portions: list[Portion] = [(source, half) for half in halves]
        names, known = architectures[:border], accuracies[parted.selection]
        if screening:
            halves.append(splits.stratified(names, known, SCREENED_ON, seed).tolist())
            portions.append(_screen(stored, halves[-1], shared))
        if border >= RACED_FROM:
            halves.append(splits.stratified(names, known, RACED_ON, seed).tolist())
            portions.append((source, halves[-1]))
        executor = resources.enter_context(local(workers))
        evaluators = _evaluators(portions, _left(stored, memory, workers), executor)
        networks = [
            Networks(evaluate, accuracies[[used[place] for place in half]])
            for evaluate, half in zip(evaluators, halves, strict=True)
        ]
        task = Task(
            name=table.name, target=chosen.target(target), selection=networks[0], report=networks[1],
            screens=tuple(networks[2:]), split=f"{split}, seed {seed}",
            fingerprint=f"{stored.fingerprint}{' screened' if screening else ''}",
        )  # fmt: skip
        yield Prepared(task, stored)


def _left(stored: Stored, memory: int, workers: int) -> int:
    """Bytes that engines may take beside the statistics and what formulas need for a moment."""
    taken = size_of(stored.collected)
    if taken > memory // _COPIES:
        raise InputError(
            "E612",
            f"the statistics take {taken / 2**20:.0f} MiB however far activations are thinned, "
            f"and as much again to be evaluated; the limit is {memory / 2**20:.0f} MiB",
            "raise --memory, or search with fewer --inputs",
        )
    left = memory - taken
    return left - min(workers * _TEMPORARIES, left // 2)


def _own(parted: splits.Split, rows: int) -> splits.Split:
    """The part of a split that is about the first `rows` rows."""
    return replace(
        parted, selection=parted.selection[parted.selection < rows],
        report=parted.report[parted.report < rows],
    )  # fmt: skip


def _screen(stored: Stored, rows: Sequence[int], shared: Shared | None) -> Portion:
    """Some networks on a sample of their statistics."""
    part = _part(stored, rows)
    small = replace(part, collected=tuple(thinned(part.collected, SCREEN, part.sample)))
    return shared.keep(small) if shared else small, range(len(rows))


def _opened(statistics: Stored | Path) -> Stored:
    return mapped(statistics) if isinstance(statistics, Path) else statistics


def _part(stored: Stored, rows: Sequence[int]) -> Stored:
    return replace(
        stored,
        architectures=tuple(stored.architectures[row] for row in rows),
        collected=tuple(stored.collected[row] for row in rows),
    )


def _evaluators(portions: Sequence[Portion], memory: int, executor: Executor) -> list[Evaluator]:
    """An evaluator for each portion; every network has the same share of the memory."""
    share = memory // sum(len(rows) for _, rows in portions)
    found: list[Evaluator] = []
    for statistics, rows in portions:
        owns = [[rows[place] for place in part] for part in shards(len(rows))]
        engines = sharing(executor.workers, len(owns))
        loads = [Load(statistics, own, share * len(own) // engines) for own in owns]
        found.append(Sharded(executor, [Shard(load, len(load.rows)) for load in loads]))
    return found
