"""Score networks that a user names: models, formulas, one batch, perhaps a teacher."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from autodas_dsl.data.batches import Batch, load_batch
from autodas_dsl.execution.progress import Progress, silent
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.language.shown import Shown
from autodas_dsl.models.source import ModelSource
from autodas_dsl.scoring.scorer import (
    Bound,
    Score,
    Scorer,
    bind,
    distinct,
    require_scored,
    require_teacher,
)
from autodas_dsl.scoring.setting import NOISE, NOISE_NOTE, Data, Teacher
from autodas_dsl.scoring.together import Together
from autodas_dsl.statistics.errors import of_network


@dataclass(frozen=True)
class Scored:
    """One formula on one model.

    `std` is over seeds, None for one seed. `rank` counts from 1 among the valid scores of the same
    formula, the better network first.
    """

    model: str
    proxy: str
    score: float
    std: float | None
    valid: bool
    reason: str
    rank: int | None


@dataclass(frozen=True)
class Result(Shown):
    """Scores, and what they were computed from in words.

    `unscored` holds the formulas that fit no model at all, with the requirement; their rows in
    `scores` are invalid.
    """

    scores: tuple[Scored, ...]
    notes: tuple[str, ...]
    unscored: Mapping[str, str] = field(default_factory=dict)


def score(
    models: Sequence[ModelSource],
    proxies: Sequence[Proxy],
    *,
    teacher: Teacher | None = None,
    data: Data | None = None,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    seeds: int = 1,
    seed: int = 0,
    compiled: bool = False,
    progress: Progress = silent,
) -> Result:
    """Score and rank models.

    Parameters
    ----------
    models : sequence of ModelSource
    proxies : sequence of Proxy
    teacher : Teacher, optional
        Needed by formulas that read ``F_t``, ``E_t``, ….
    data : Data, optional
        Without it noise and random labels, which `Result.notes` says.
    dtype : torch.dtype
        Precision of passes and formulas.
    seeds : int
        Repeat with so many initialisations and batches; the score is the mean.
    compiled : bool
        Run formulas through ``torch.compile``; pays for one formula over many large networks.

    Raises
    ------
    InputError
        When a model, the data or a formula is wrong, or when no formula fits any model.
    """
    formulas = distinct([bind(proxy) for proxy in proxies])
    require_teacher(formulas, teacher)
    if compiled:
        require_compiler()
    found: dict[tuple[int, int], list[Score]] = {}
    batches = Batches(data or Data())
    together = Together(formulas, len(models))
    for repeat in range(seeds):
        scorers: dict[int, Scorer] = {}
        each: list[list[Score]] = []
        network_teacher = teacher.build(seed + repeat).to(device) if teacher else None
        for model in models:
            batch = batches.of(model, seed + repeat)
            scorer = scorers.get(id(batch))
            if scorer is None:
                scorer = Scorer(
                    together.flat, batch, teacher=network_teacher,
                    teacher_size=teacher.size if teacher else None,
                    dtype=dtype, seed=seed + repeat, compiled=compiled,
                )  # fmt: skip
                scorers[id(batch)] = scorer
            with of_network(model.name):
                each.append(scorer(model.build(seed + repeat).to(device)))
            progress(1, model.name)
        for place, results in enumerate(together.assemble(each)):
            for number, one in enumerate(results):
                found.setdefault((place, number), []).append(one)
    unscored = _misfits(formulas, found, len(models))
    require_scored(formulas, unscored)
    names = unique_names(models)
    rows = [_merge(names[place], formulas[number], many) for (place, number), many in found.items()]
    notes = batches.notes(models) + ((teacher.note,) if teacher else ())
    return Result(tuple(_ranked(rows, formulas)), notes, unscored)


def require_compiler() -> None:
    """Make sure that ``torch.compile`` can work.

    Raises
    ------
    InputError
        E462 when there is no C++ compiler.
    """
    if not any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "clang++", "cl")):
        raise InputError(
            "E462", "compiling needs a C++ compiler, and there is none",
            "install g++ or clang++, name one with CXX, or leave --compile out",
        )  # fmt: skip


class Batches:
    """One batch per input shape, number of classes and seed."""

    def __init__(self, data: Data) -> None:
        self._data = data
        self._loaded: dict[tuple[object, ...], Batch] = {}

    def of(self, model: ModelSource, seed: int) -> Batch:
        if self._data.batch is not None:
            return self._loaded.setdefault((), self._data.batch)
        key = (model.input_shape, model.classes, seed)
        if key not in self._loaded:
            self._loaded[key] = load_batch(
                self._data.spec, size=self._data.size, seed=self._data.seed + seed,
                input_shape=model.input_shape, classes=model.classes,
            )  # fmt: skip
        return self._loaded[key]

    def notes(self, models: Sequence[ModelSource]) -> tuple[str, ...]:
        """What was fed to the models, and where their weights come from, in words."""
        said = [f"data: {source}" for source in sorted({b.source for b in self._loaded.values()})]
        if self._data.spec == NOISE:
            said.append(NOISE_NOTE)
        weights = sorted({model.weights for model in models})
        return (*said, *(f"models: {text}" for text in weights))


def unique_names(models: Sequence[ModelSource]) -> list[str]:
    """Names for a table; models of one name get a number."""
    names = [model.name for model in models]
    return [
        name if names.count(name) == 1 else f"{name} ({names[: i + 1].count(name)})"
        for i, name in enumerate(names)
    ]


def _misfits(
    formulas: Sequence[Bound], found: dict[tuple[int, int], list[Score]], models: int
) -> dict[str, str]:
    """The formulas that fit none of the models, with what the first model lacks."""
    reasons: dict[str, str] = {}
    for number, formula in enumerate(formulas):
        scores = [one for place in range(models) for one in found[place, number]]
        if scores and all(one.unmet for one in scores):
            reasons[formula.name] = scores[0].reason
    return reasons


def _merge(model: str, formula: Bound, many: list[Score]) -> Scored:
    """Mean and standard deviation over seeds; one invalid seed makes the score invalid."""
    reason = next((one.reason for one in many if not one.valid), "")
    if reason:
        return Scored(model, formula.name, math.nan, None, False, reason, None)
    values = np.array([one.value for one in many])
    std = float(values.std(ddof=1)) if len(values) > 1 else None
    return Scored(model, formula.name, float(values.mean()), std, True, "", None)


def _ranked(rows: Sequence[Scored], formulas: Sequence[Bound]) -> list[Scored]:
    out: list[Scored] = []
    for formula in formulas:
        mine = [row for row in rows if row.proxy == formula.name]
        ordered = sorted(
            mine, key=lambda row: (not row.valid, -formula.sign * row.score if row.valid else 0.0)
        )
        for row in ordered:
            better = sum(
                1 for other in mine
                if other.valid and row.valid and formula.sign * other.score > formula.sign * row.score
            )  # fmt: skip
            out.append(
                Scored(row.model, row.proxy, row.score, row.std, row.valid, row.reason,
                       better + 1 if row.valid else None)
            )  # fmt: skip
    return out
