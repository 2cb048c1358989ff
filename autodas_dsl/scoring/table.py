"""Scores of every architecture of a table, one network after the other, as far as possible from the book."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from autodas_dsl.data.batches import Batch, load_batch
from autodas_dsl.language.errors import InputError
from autodas_dsl.models.source import ModelSource
from autodas_dsl.scoring.scorebook import ScoreBook, setting_key
from autodas_dsl.scoring.scorer import (
    Bound,
    Score,
    Scorer,
    reads_teacher,
)
from autodas_dsl.scoring.setting import NOISE, NOISE_NOTE, Setting, Teacher
from autodas_dsl.scoring.together import Together
from autodas_dsl.spaces.base import Space
from autodas_dsl.statistics.errors import OutOfMemory, of_network
from autodas_dsl.tables.table import Table

Progress = Callable[[int, str], None]


def _silent(done: int, label: str) -> None:
    """No progress shown."""


def score_table(
    table: Table,
    space: Space[Any],
    formulas: Sequence[Bound],
    setting: Setting,
    seeds: int,
    seed: int,
    book: ScoreBook | None,
    progress: Progress = _silent,
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
                run = Run(space, together.flat, setting, teacher, batch, seed + repeat, book)
                runs.append(together.assemble(run.scores(table.architectures, progress)))
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


def source_of(space: Space[Any], architecture: str, classes: int | None = None) -> ModelSource:
    """An architecture of a space as something to build."""
    arch = space.parse(architecture)
    return ModelSource(
        f"{space.name}:{architecture}", lambda: space.build(arch, classes),
        tuple(space.input_shape), classes or space.classes,
    )  # fmt: skip


class Run:
    """One seed: architectures on one batch, with one teacher."""

    def __init__(
        self, space: Space[Any], formulas: Sequence[Bound], setting: Setting,
        teacher: Teacher | None, batch: Batch, seed: int, book: ScoreBook | None,
    ) -> None:  # fmt: skip
        self.space, self.formulas, self.setting = space, formulas, setting
        self.batch, self.seed, self.book = batch, seed, book
        self.teacher: nn.Module | None = None
        if teacher is not None:
            self.teacher = teacher.build(seed).to(setting.device)
        self._size = teacher.size if teacher else None
        self._key = setting_key(batch, self.teacher, self._size, setting.dtype, seed)
        self._scorers: dict[tuple[int, ...], Scorer] = {}

    def scores(self, architectures: Iterable[str], progress: Progress) -> list[list[Score]]:
        found = []
        for architecture in architectures:
            found.append(self.of(architecture))
            progress(1, architecture)
        return found

    def of(self, architecture: str) -> list[Score]:
        """Scores of one architecture with all formulas, as far as possible from the book."""
        network_key = self._network_key(architecture)
        known = self.book.get(self._key, network_key) if self.book else {}
        todo = tuple(i for i, f in enumerate(self.formulas) if _formula_key(f) not in known)
        if todo:
            scorer = self._scorer(todo)
            source = source_of(self.space, architecture, self.setting.classes)
            with of_network(source.name):
                fresh = scorer(source.build(self.seed).to(self.setting.device))
            keyed = {
                _formula_key(self.formulas[i]): one for i, one in zip(todo, fresh, strict=True)
            }
            if self.book:
                self.book.put(self._key, network_key, keyed)
            known |= keyed
        return [known[_formula_key(formula)] for formula in self.formulas]

    def _network_key(self, architecture: str) -> str:
        cls = type(self.space)
        text = f"{cls.__module__}.{cls.__qualname__} {self.space.name}{self.space.source}"
        return hashlib.blake2b(
            f"{text} {architecture} {self.setting.classes}".encode(), digest_size=12
        ).hexdigest()

    def _scorer(self, todo: tuple[int, ...]) -> Scorer:
        if todo not in self._scorers:
            self._scorers[todo] = Scorer(
                [self.formulas[i] for i in todo], self.batch, teacher=self.teacher,
                teacher_size=self._size, dtype=self.setting.dtype, seed=self.seed,
            )  # fmt: skip
        return self._scorers[todo]


def _formula_key(formula: Bound) -> str:
    if not formula.references:
        return formula.node.digest
    frozen = sorted((node.digest, values) for node, values in formula.references.items())
    return hashlib.blake2b(f"{formula.node.digest} {frozen}".encode(), digest_size=12).hexdigest()


def require_space(table: Table, space: Space[Any] | None) -> Space[Any]:
    """The space of a table.

    Raises
    ------
    InputError
        E520 when the table does not say which and none was given.
    """
    if space is None:
        raise InputError(
            "E520", f"{table.name} does not say which space its architectures belong to",
            "name it with --space",
        )  # fmt: skip
    return space
