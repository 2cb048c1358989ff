"""What a formula really depends on: score again with one thing changed, and compare."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from autodas_dsl.data.batches import Batch
from autodas_dsl.evaluation.agreement import agreement
from autodas_dsl.evaluation.rank import chosen_rows, with_baselines
from autodas_dsl.execution.jobs import Executor, InProcess
from autodas_dsl.execution.progress import Progress, silent
from autodas_dsl.execution.randomness import generator
from autodas_dsl.execution.threads import one_thread
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.scoring.scorebook import ScoreBook
from autodas_dsl.scoring.scorer import Bound
from autodas_dsl.scoring.setting import NOISE, Data, Setting, Teacher
from autodas_dsl.scoring.table import Scoring, scores_of, table_batch
from autodas_dsl.spaces.base import Space
from autodas_dsl.tables.table import Table

Floats = npt.NDArray[np.float64]


CHANGES = ("batch", "noise images", "labels", "initial weights", "teacher")
UNMOVED = 0.01
"""A median relative change of the scores below this, and an agreement that lacks less than this of
1, count as not depending."""

ROUNDING = 1e-5
"""Where no score changes by more than this, their order says nothing: they differ by rounding."""


@dataclass(frozen=True)
class Sensitivity:
    """How the scores of one formula change when one thing changes.

    `agreement` is the Spearman correlation of old and new scores over the architectures, `change`
    the median relative change of a score; None where they are undefined. `depends` is False where
    both say that nothing moved, and the same scores are valid.
    """

    proxy: str
    changed: str
    agreement: float | None
    change: float | None
    depends: bool


def sensitivity(
    table: Table,
    space: Space[Any],
    proxies: Sequence[Proxy],
    *,
    target: str | None = None,
    setting: Setting | None = None,
    seed: int = 0,
    limit: int | None = None,
    book: ScoreBook | None = None,
    executor: Executor | None = None,
    progress: Progress = silent,
) -> list[Sensitivity]:
    """Score again under another batch, noise images, shuffled labels, another initial seed and
    another teacher, one change at a time; `executor` as in `rank`.

    Formulas that have no valid score before anything is changed are left out.
    """
    formulas = with_baselines(proxies)
    chosen, _ = table.measured(target)
    chosen = chosen.rows(chosen_rows(chosen, space, limit, None, seed))
    setting = setting or Setting()
    with one_thread(), executor or InProcess() as workers:

        def values(changed: str = "") -> Floats:
            """[architectures, formulas]"""
            scoring = _scoring(space, formulas, setting, seed, changed)
            scores = scores_of(chosen.architectures, scoring, workers, book, progress)
            workers.forget()
            return np.array([[one.value for one in row] for row in scores])

        plain = values()
        found: list[Sensitivity] = []
        for changed in CHANGES:
            if changed == "teacher" and setting.teacher is None:
                continue
            other = values(changed)
            for place, formula in enumerate(formulas):
                if np.isfinite(plain[:, place]).any():
                    found.append(_compare(formula.name, changed, plain[:, place], other[:, place]))
        return found


def _scoring(
    space: Space[Any], formulas: Sequence[Bound], setting: Setting, seed: int, changed: str
) -> Scoring:
    """How networks are scored with one thing changed."""

    def batch_of(data: Data) -> Batch:
        return table_batch(space, replace(setting, data=data), data.size, seed)

    data = setting.data
    if changed == "batch":
        data = replace(data, seed=data.seed + 1000)
    batch = batch_of(data)
    if changed == "noise images":
        noise = batch_of(replace(data, spec=NOISE, size=batch.size))
        batch = replace(batch, x=noise.x, source=noise.source)
    if changed == "labels":
        order = generator(1).permutation(batch.size)
        batch = replace(batch, y=batch.y[torch.from_numpy(order)])
    teacher = setting.teacher
    if teacher is not None:
        teacher = _fixed(teacher, seed, changed == "teacher")
    weights = seed + (1000 if changed == "initial weights" else 0)
    return Scoring(space, formulas, setting, teacher, batch, weights)


def _fixed(teacher: Teacher, seed: int, redraw: bool) -> Teacher:
    """A teacher with its trained weights in it: none are loaded over weights that were changed."""
    source = replace(teacher.source, make=partial(_made, teacher, seed, redraw))
    return replace(teacher, source=source, weights="")


def _made(teacher: Teacher, seed: int, redraw: bool) -> nn.Module:
    """The teacher of one seed, whatever the seed of the students, perhaps redrawn."""
    network = teacher.build(seed)
    return _redrawn(network) if redraw else network


def _redrawn(network: nn.Module) -> nn.Module:
    """Every weight tensor drawn anew from its own values: another teacher, equally scaled."""
    network = deepcopy(network)  # a source may give the same network every time
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            drawn = torch.randint(parameter.numel(), (parameter.numel(),), generator=generator)
            parameter.copy_(parameter.flatten()[drawn].view_as(parameter))
    return network


def _compare(name: str, changed: str, before: Floats, after: Floats) -> Sensitivity:
    valid = np.isfinite(before) & np.isfinite(after)
    gone = not np.array_equal(np.isfinite(before), np.isfinite(after))
    if not valid.any():
        return Sensitivity(name, changed, None, None, gone)
    found = agreement(after[valid], before[valid]).spearman
    scale = np.maximum(np.abs(before[valid]), np.finfo(np.float64).tiny)
    changes = np.abs(after[valid] - before[valid]) / scale
    change = float(np.median(changes))
    reordered = found is not None and found <= 1 - UNMOVED and float(changes.max()) > ROUNDING
    return Sensitivity(name, changed, found, change, gone or reordered or change >= UNMOVED)
