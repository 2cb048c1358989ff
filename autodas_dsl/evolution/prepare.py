"""From a table to a task: split the architectures, collect their statistics, bind evaluators."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import torch

from autodas_dsl.evolution.shards import Sharded, shards
from autodas_dsl.evolution.task import Evaluator, Networks, Task
from autodas_dsl.evolution.workers import Pool, Shard
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.language.kinds import Requirement
from autodas_dsl.language.spans import InputError
from autodas_dsl.scoring import splits
from autodas_dsl.scoring.rank import Setting
from autodas_dsl.scoring.stored import Stored, collect_table
from autodas_dsl.scoring.thinning import SCREEN, thinned
from autodas_dsl.spaces.base import Space
from autodas_dsl.statistics.store import Store
from autodas_dsl.tables.table import Table

Progress = Callable[[int, str], None]

RACED_FROM = 200
"""Selection architectures from which formulas are raced on a part of them first."""

RACED_ON = 64

MEMORY = 4 << 30
_COPIES = 2  # the statistics, and the flat buffers that an engine makes of them


def _silent(done: int, label: str) -> None:
    """No progress shown."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A task, and what its statistics allow; ends its worker processes as a context manager."""

    task: Task
    stored: Stored
    resources: ExitStack = field(default_factory=ExitStack)

    def allowed(self, requirement: Requirement) -> bool:
        return self.stored.allowed(requirement)

    def __enter__(self) -> Prepared:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.resources.close()


@dataclass(frozen=True)
class Load:
    """Makes the evaluator over the statistics in a file of this process's own temporary folder."""

    path: Path

    def __call__(self) -> Evaluator:
        torch.set_num_threads(1)
        stored: Stored = pickle.loads(self.path.read_bytes())
        return stored.evaluator(range(len(stored.architectures)))


def prepare(
    table: Table,
    space: Space[Any],
    statistics: Collection[Statistic],
    setting: Setting,
    *,
    target: str | None = None,
    split: str = "half",
    beside: Sequence[str] = (),
    seed: int = 0,
    workers: int = 1,
    screening: bool = False,
    store: Store | None = None,
    memory: int = MEMORY,
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
    beside : sequence of str
        Isomorphism classes of the other tables of the search that share the space: what one
        table selects on, no other reports on.
    seed : int
        Of split, initial weights and batch.
    workers : int
        Processes that evaluate; with one, this process does. The scores do not depend on it.
    screening : bool
        Look at formulas on thinned statistics first (see `scoring.thinning`). Selections of
        `RACED_FROM` architectures or more are raced on a part of them in any case.
    store : Store, optional
        Keeps the statistics for the next search.
    memory : int
        Bytes that statistics and the buffers made of them may take together; activations are
        thinned until they fit.

    Raises
    ------
    InputError
    """
    chosen, accuracies = table.measured(target)
    classes = splits.isomorphism_classes(chosen, space)
    parted = _own(splits.split([*classes, *beside], split, seed), len(classes))
    used = [*parted.selection, *parted.report]
    architectures = [chosen.architectures[row] for row in used]
    stored = collect_table(
        architectures, space, statistics, setting, seed=seed, store=store,
        memory=memory // _COPIES, progress=progress,
    )  # fmt: skip
    border = len(parted.selection)
    halves = [list(range(border)), list(range(border, len(used)))]
    parts = [_part(stored, half) for half in halves]
    if screening or border >= RACED_FROM:
        half = halves[0]
        if border >= RACED_FROM:
            names = [architectures[place] for place in half]
            on = accuracies[parted.selection]
            half = [int(place) for place in splits.stratified(names, on, RACED_ON, seed)]
        halves.append(half)
        part = _part(stored, half)
        if screening:
            small = thinned(part.collected, SCREEN, part.sample)
            part = replace(part, collected=tuple(small))
        parts.append(part)
    resources = ExitStack()
    evaluators = _evaluators(parts, workers, resources)
    networks = [
        Networks(evaluate, accuracies[[used[place] for place in half]])
        for evaluate, half in zip(evaluators, halves, strict=True)
    ]
    task = Task(
        name=table.name, target=chosen.target(target), selection=networks[0], report=networks[1],
        screen=networks[2] if len(networks) > 2 else None,
        split=f"{split}, seed {seed}", fingerprint=f"{stored.fingerprint}{' screened' if screening else ''}",
    )  # fmt: skip
    return Prepared(task, stored, resources)


def _own(parted: splits.Split, rows: int) -> splits.Split:
    """The part of a split that is about the first `rows` rows."""
    return replace(
        parted, selection=parted.selection[parted.selection < rows],
        report=parted.report[parted.report < rows],
    )  # fmt: skip


def _evaluators(halves: Sequence[Stored], workers: int, resources: ExitStack) -> list[Evaluator]:
    """One evaluator per half; the shards of a half are the same for any number of workers."""
    parts = [[_part(half, rows) for rows in shards(len(half.architectures))] for half in halves]
    if workers < 2:
        return [Sharded([p.evaluator(range(len(p.architectures))) for p in half]) for half in parts]
    folder = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="autodas-dsl-")))
    files = [[_saved(part, folder / f"{i}-{j}") for j, part in enumerate(half)]
             for i, half in enumerate(parts)]  # fmt: skip
    pool = resources.enter_context(Pool(files, workers))
    return [pool.evaluator(number) for number in range(len(halves))]


def _part(stored: Stored, rows: Sequence[int]) -> Stored:
    return replace(
        stored,
        architectures=tuple(stored.architectures[row] for row in rows),
        collected=tuple(stored.collected[row] for row in rows),
    )


def _saved(part: Stored, path: Path) -> Shard:
    try:
        path.write_bytes(pickle.dumps(part))
    except OSError as error:
        raise InputError(
            "E610", f"cannot hand statistics to the workers: {error.strerror or error}",
            "free the temporary folder, set TMPDIR, or use --workers 1",
        ) from error  # fmt: skip
    return Shard(Load(path), len(part.architectures))
