"""Score networks that a user names: models, formulas, one batch, perhaps a teacher."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from autodas_dsl.language.proxy import Proxy
from autodas_dsl.language.spans import InputError
from autodas_dsl.scoring.scorer import Bound, Score, Scorer, bind, distinct, no_teacher
from autodas_dsl.statistics.batches import Batch, load_batch
from autodas_dsl.statistics.collect import Collected, belongs_to_teacher
from autodas_dsl.statistics.model_source import ModelSource

Progress = Callable[[int, str], None]
NOISE = "noise"


def _silent(done: int, label: str) -> None:
    """No progress shown."""


@dataclass(frozen=True)
class Data:
    """Where the batch comes from.

    Parameters
    ----------
    spec : str
        As `load_batch` takes it.
    size : int, optional
        Samples in the batch.
    seed : int
        Chooses the samples.
    """

    spec: str = NOISE
    size: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class Teacher:
    """The teacher network, and the image size it works at when that is not the student's."""

    source: ModelSource
    size: int | None = None
    weights: str = ""

    def build(self, seed: int = 0) -> nn.Module:
        return self.source.build(seed)


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
class Result:
    """Scores, and what they were computed from in words."""

    scores: tuple[Scored, ...]
    notes: tuple[str, ...]


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
    progress: Progress = _silent,
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

    Raises
    ------
    InputError
        When a model, the data or a formula is wrong, or when a formula fits no model at all.
    """
    formulas = distinct([bind(proxy) for proxy in proxies])
    if teacher is None and any(belongs_to_teacher(s) for f in formulas for s in f.statistics):
        raise no_teacher(formulas)
    found: dict[tuple[int, int], list[Score]] = {}
    batches = _Batches(data or Data())
    for repeat in range(seeds):
        scorers: dict[int, Scorer] = {}
        network_teacher = teacher.build(seed + repeat).to(device) if teacher else None
        for place, model in enumerate(models):
            batch = batches.of(model, seed + repeat)
            scorer = scorers.get(id(batch))
            if scorer is None:
                scorer = Scorer(
                    formulas, batch, teacher=network_teacher,
                    teacher_size=teacher.size if teacher else None,
                    dtype=dtype, seed=seed + repeat,
                )  # fmt: skip
                scorers[id(batch)] = scorer
            results = scorer(model.build(seed + repeat).to(device))
            for number, one in enumerate(results):
                found.setdefault((place, number), []).append(one)
            progress(1, model.name)
    _raise_misfits(formulas, found, len(models))
    names = unique_names(models)
    rows = [_merge(names[place], formulas[number], many) for (place, number), many in found.items()]
    return Result(tuple(_ranked(rows, formulas)), batches.notes(models, data is None))


def explain(
    model: ModelSource,
    proxies: Sequence[Proxy],
    *,
    teacher: Teacher | None = None,
    data: Data | None = None,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
    seed: int = 0,
) -> tuple[tuple[Bound, ...], list[Score], Collected]:
    """One model's scores with the statistics behind them."""
    formulas = distinct([bind(proxy) for proxy in proxies])
    batch = _Batches(data or Data()).of(model, seed)
    scorer = Scorer(
        formulas, batch, teacher=teacher.build(seed).to(device) if teacher else None,
        teacher_size=teacher.size if teacher else None, dtype=dtype, seed=seed,
    )  # fmt: skip
    scores, collected = scorer.explain(model.build(seed).to(device))
    return formulas, scores, collected


class _Batches:
    """One batch per input shape and number of classes."""

    def __init__(self, data: Data) -> None:
        self._data = data
        self._loaded: dict[tuple[object, ...], Batch] = {}

    def of(self, model: ModelSource, seed: int) -> Batch:
        key = (model.input_shape, model.classes, seed)
        if key not in self._loaded:
            self._loaded[key] = load_batch(
                self._data.spec, size=self._data.size, seed=self._data.seed + seed,
                input_shape=model.input_shape, classes=model.classes,
            )  # fmt: skip
        return self._loaded[key]

    def notes(self, models: Sequence[ModelSource], by_default: bool) -> tuple[str, ...]:
        sources = sorted({batch.source for batch in self._loaded.values()})
        said = [f"data: {source}" for source in sources]
        if by_default:
            said.append("no --data was given: noise and random labels stand in for real samples")
        weights = sorted({model.weights for model in models})
        return (*said, *(f"weights: {text}" for text in weights))


def unique_names(models: Sequence[ModelSource]) -> list[str]:
    """Names for a table; models of one name get a number."""
    names = [model.name for model in models]
    return [
        name if names.count(name) == 1 else f"{name} ({names[: i + 1].count(name)})"
        for i, name in enumerate(names)
    ]


def _raise_misfits(
    formulas: Sequence[Bound], found: dict[tuple[int, int], list[Score]], models: int
) -> None:
    """A formula that fits none of the models is a mistake of the input, not a result."""
    for number, formula in enumerate(formulas):
        scores = [one for place in range(models) for one in found[place, number]]
        if scores and all(one.unmet for one in scores):
            raise InputError("E461", f"`{formula.name}` fits no model: {scores[0].reason}")


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
