"""Scores of every architecture of a table, one network after the other, as far as possible from the book."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from torch import nn

from autodas_dsl import spaces
from autodas_dsl.data.batches import Batch, load_batch
from autodas_dsl.execution.jobs import DEADLY, Executor, Job, Lost, persistent
from autodas_dsl.execution.progress import Progress, silent
from autodas_dsl.language.errors import InputError
from autodas_dsl.models.named import are_models, named_models
from autodas_dsl.models.spaces import space_source
from autodas_dsl.scoring.scorebook import ScoreBook, setting_key
from autodas_dsl.scoring.scorer import Bound, Score, Scorer, reads_teacher
from autodas_dsl.scoring.setting import NOISE, NOISE_NOTE, Setting, Teacher
from autodas_dsl.scoring.together import Together
from autodas_dsl.spaces.base import Space
from autodas_dsl.statistics.errors import OutOfMemory, of_network
from autodas_dsl.tables.read import load_table
from autodas_dsl.tables.table import Table

Asked = tuple[str, tuple[int, ...]]
"""An architecture, and which of the formulas score it."""

_LOGGER = logging.getLogger(__name__)


def score_table(
    table: Table,
    space: Space[Any],
    formulas: Sequence[Bound],
    setting: Setting,
    seeds: int,
    seed: int,
    book: ScoreBook | None,
    executor: Executor,
    progress: Progress = silent,
) -> tuple[list[list[list[Score]]], tuple[str, ...]]:
    """Scores ``[seed][architecture][formula]``, and notes on how they were made.

    When a batch does not fit into memory all networks are scored again with half of it, which a
    note says: scores from different batches do not compare.
    """
    needs = any(map(reads_teacher, formulas))
    size = setting.data.size
    together = Together(formulas, len(table))
    halved: list[str] = []
    while True:
        runs, sources = [], []
        try:
            for repeat in range(seeds):
                batch = table_batch(space, setting, size, seed + repeat)
                sources.append(f"data: {batch.source}")
                teacher = setting.teacher if needs else None
                scoring = Scoring(space, together.flat, setting, teacher, batch, seed + repeat)
                try:
                    each = scores_of(table.architectures, scoring, executor, book, progress)
                finally:
                    executor.forget()
                runs.append(together.assemble(each))
        except OutOfMemory as error:
            if batch.size < 2:
                raise
            size = batch.size // 2
            halved.append(f"warning: {error.diagnostics[0].message}; batch halved to {size}")
        else:
            noise = (NOISE_NOTE,) if setting.data.spec == NOISE else ()
            return runs, (*halved, *dict.fromkeys(sources), *noise)


def table_batch(space: Space[Any], setting: Setting, size: int | None, seed: int) -> Batch:
    """The batch that the networks of a space are scored on; the first `size` of samples at hand."""
    held = setting.data.batch
    if held is not None:
        return held if size is None else replace(held, x=held.x[:size], y=held.y[:size])
    batch = load_batch(
        setting.data.spec, size=size, seed=setting.data.seed + seed,
        input_shape=space.input_shape, classes=setting.classes or space.classes,
    )  # fmt: skip
    return replace(batch, source=f"{batch.source}; {space.note}") if space.note else batch


@dataclass(frozen=True, eq=False)
class Scoring:
    """How the networks of a space are scored with one seed; picklable.

    Parameters
    ----------
    space : Space
    formulas : sequence of Bound
    setting : Setting
    teacher : Teacher, optional
        Where a formula reads it.
    batch : Batch
    seed : int
    """

    space: Space[Any]
    formulas: Sequence[Bound]
    setting: Setting
    teacher: Teacher | None
    batch: Batch
    seed: int

    def __getstate__(self) -> dict[str, Any]:
        """Without the teacher's network, which every worker builds itself."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def network(self) -> nn.Module | None:
        """The teacher's."""
        return self.teacher.build(self.seed).to(self.setting.device) if self.teacher else None

    @cached_property
    def key(self) -> str:
        """Under which scores are stored."""
        size = self.teacher.size if self.teacher else None
        return setting_key(self.batch, self.network, size, self.setting, self.seed)

    def network_key(self, architecture: str) -> str:
        """Under which those of one architecture are."""
        cls, space = type(self.space), self.space
        text = f"{cls.__module__}.{cls.__qualname__} {space.name}{space.source}"
        return hashlib.blake2b(
            f"{text} {architecture} {self.setting.classes}".encode(), digest_size=12
        ).hexdigest()

    def __call__(self) -> Callable[[Asked], list[Score]]:
        """Scores of one architecture; the teacher sees the batch once."""

        @cache
        def scorer(numbers: tuple[int, ...]) -> Scorer:
            return Scorer(
                [self.formulas[number] for number in numbers], self.batch, teacher=self.network,
                teacher_size=self.teacher.size if self.teacher else None,
                dtype=self.setting.dtype, seed=self.seed,
            )  # fmt: skip

        def scores(asked: Asked) -> list[Score]:
            architecture, numbers = asked
            score = scorer(numbers)
            source = space_source(self.space, architecture, self.setting.classes)
            with of_network(source.name):
                return score(source.build(self.seed).to(self.setting.device))

        return scores


def scores_of(
    architectures: Iterable[str], scoring: Scoring, executor: Executor, book: ScoreBook | None,
    progress: Progress = silent,
) -> list[list[Score]]:  # fmt: skip
    """Scores [architecture][formula]; what the book holds is not scored again.

    An architecture that ends two workers has invalid scores, which the book does not keep.
    """
    keys = [formula.key for formula in scoring.formulas]
    found: list[dict[str, Score]] = []
    asked: list[tuple[int, Asked]] = []

    def jobs() -> Iterator[Job[Asked, list[Score]]]:
        for place, architecture in enumerate(architectures):
            known = book.get(scoring.key, scoring.network_key(architecture)) if book else {}
            found.append(known)
            missing = tuple(number for number, key in enumerate(keys) if key not in known)
            if missing:
                asked.append((place, (architecture, missing)))
                yield Job(scoring, asked[-1][1])
            else:
                progress(1, architecture)

    for number, scores in persistent(executor, jobs()):
        place, (architecture, missing) = asked[number]
        if isinstance(scores, Lost):
            found[place] |= {keys[i]: Score(math.nan, DEADLY) for i in missing}
        else:
            fresh = {keys[i]: one for i, one in zip(missing, scores, strict=True)}
            found[place] |= fresh
            if book:
                book.put(scoring.key, scoring.network_key(architecture), fresh)
        progress(1, architecture)
    _LOGGER.info(
        "%d networks have their scores, %d of them from the store",
        len(found),
        len(found) - len(asked),
    )
    return [[scores[key] for key in keys] for scores in found]


def table_and_space(
    given: str | Path | Table, space: str | Space[Any] | None = None
) -> tuple[Table, Space[Any]]:
    """A table and the space that builds its architectures.

    Architectures that are models, ``FILE.py:Net(16)`` or ``timm:NAME``, need none; files are
    looked for beside the table.

    Parameters
    ----------
    given : str, Path or Table
        A built-in name, a CSV file or a table.
    space : str or Space, optional
        Where the table does not say.

    Raises
    ------
    InputError
        E520 when the table does not say which and none was given, or as `named_models`.
    """
    table = given if isinstance(given, Table) else load_table(given, space)
    family = space or table.space
    if not family and are_models(table.architectures):
        folder = None if isinstance(given, Table) else Path(given).parent
        return table, named_models(table.architectures, folder)
    if not family:
        raise InputError(
            "E520", f"{table.name} does not say which space its architectures belong to",
            "name it with --space, or write architectures as models are: FILE.py:Name(16)",
        )  # fmt: skip
    return table, family if isinstance(family, Space) else spaces.get(family)
