"""Score networks that a user names: models, formulas, one batch, perhaps a teacher."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from autodas_dsl.language.proxy import Proxy
from autodas_dsl.language.spans import InputError
from autodas_dsl.scoring.scorer import Bound, Score, Scorer, bind, distinct, no_teacher
from autodas_dsl.scoring.together import Together
from autodas_dsl.statistics.batches import Batch, load_batch
from autodas_dsl.statistics.collect import belongs_to_teacher
from autodas_dsl.statistics.errors import of_network
from autodas_dsl.statistics.model_source import ModelSource
from autodas_dsl.statistics.weights import load_weights

Progress = Callable[[int, str], None]
NOISE = "noise"
NOISE_NOTE = "noise and random labels stand in for real samples: give --data for those"


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
    batch : Batch, optional
        Samples at hand; nothing is loaded then.
    """

    spec: str = NOISE
    size: int | None = None
    seed: int = 0
    batch: Batch | None = None


@dataclass(frozen=True)
class Teacher:
    """The teacher network.

    Parameters
    ----------
    source : ModelSource
    size : int, optional
        The image size it works at when that is not the student's.
    weights : str
        A file of trained weights, as `load_weights` reads it; empty for those it comes with.
    """

    source: ModelSource
    size: int | None = None
    weights: str = ""

    def build(self, seed: int = 0) -> nn.Module:
        """The network with its weights.

        Raises
        ------
        InputError
            When it cannot be built or the weights do not fit.
        """
        network = self.source.build(seed)
        if self.weights:
            load_weights(network, self.weights)
        return network

    @property
    def note(self) -> str:
        """Which network it is and where its weights come from, in words."""
        weights = f"weights of {self.weights}" if self.weights else self.source.weights
        resized = f", at {self.size}x{self.size}" if self.size else ""
        return f"teacher: {self.source.name}, {weights}{resized}"


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
    compiled: bool = False,
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
    compiled : bool
        Run formulas through ``torch.compile``; pays for one formula over many large networks.

    Raises
    ------
    InputError
        When a model, the data or a formula is wrong, or when a formula fits no model at all.
    """
    formulas = distinct([bind(proxy) for proxy in proxies])
    if teacher is None and any(belongs_to_teacher(s) for f in formulas for s in f.statistics):
        raise no_teacher(formulas)
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
    _raise_misfits(formulas, found, len(models))
    names = unique_names(models)
    rows = [_merge(names[place], formulas[number], many) for (place, number), many in found.items()]
    notes = batches.notes(models) + ((teacher.note,) if teacher else ())
    return Result(tuple(_ranked(rows, formulas)), notes)


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
