"""What a formula really depends on: score again with one thing changed, and compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from autodas_dsl.language.proxy import Proxy
from autodas_dsl.scoring import correlations
from autodas_dsl.scoring.rank import Run, Setting, chosen_rows, table_batch, with_baselines
from autodas_dsl.scoring.scorebook import ScoreBook
from autodas_dsl.scoring.scorer import Bound
from autodas_dsl.spaces.base import Space
from autodas_dsl.statistics.model_source import ModelSource
from autodas_dsl.tables.table import Table

Floats = npt.NDArray[np.float64]
Progress = Callable[[int, str], None]


def _silent(done: int, label: str) -> None:
    """No progress shown."""


CHANGES = ("batch", "noise images", "labels", "initial weights", "teacher")
UNMOVED = 0.01
"""A relative change of the scores below this counts as not depending."""


@dataclass(frozen=True)
class Sensitivity:
    """How the scores of one formula change when one thing changes.

    `agreement` is the Spearman correlation of old and new scores over the architectures, `change`
    the median relative change of a score. `depends` is False where both say that nothing moved.
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
    progress: Progress = _silent,
) -> list[Sensitivity]:
    """Score again under another batch, noise images, shuffled labels, another initial seed and
    another teacher, one change at a time."""
    formulas = with_baselines(proxies)
    chosen, _ = table.measured(target)
    chosen = chosen.rows(chosen_rows(chosen, space, limit, None, seed))
    base = _Variation(chosen, space, formulas, setting or Setting(), seed, book, progress)
    plain = base.values()
    out: list[Sensitivity] = []
    for changed in CHANGES:
        if changed == "teacher" and (setting is None or setting.teacher is None):
            continue
        other = base.values(changed)
        for place, formula in enumerate(formulas):
            out.append(_compare(formula.name, changed, plain[:, place], other[:, place]))
    return out


class _Variation:
    """Scores of all architectures with one thing changed."""

    def __init__(
        self, table: Table, space: Space[Any], formulas: Sequence[Bound], setting: Setting,
        seed: int, book: ScoreBook | None, progress: Progress,
    ) -> None:  # fmt: skip
        self.table, self.space, self.formulas = table, space, formulas
        self.setting, self.seed, self.book, self.progress = setting, seed, book, progress

    def values(self, changed: str = "") -> Floats:
        """[architectures, formulas]"""
        data = self.setting.data
        if changed == "batch":
            data = replace(data, seed=data.seed + 1000)
        if changed == "noise images":
            data = replace(data, spec="noise")
        batch = table_batch(self.space, replace(self.setting, data=data), data.size, self.seed)
        if changed == "labels":
            order = torch.from_numpy(
                np.random.Generator(np.random.Philox(1)).permutation(batch.size)
            )
            batch = replace(batch, y=batch.y[order])
        teacher = self.setting.teacher
        if teacher is not None and changed == "teacher":
            source = replace(teacher.source, make=_reseeded(teacher.source))
            teacher = replace(teacher, source=source)
        weights = self.seed + (1000 if changed == "initial weights" else 0)
        run = Run(self.space, self.formulas, self.setting, teacher, batch, weights, self.book)
        scores = run.scores(self.table.architectures, self.progress)
        return np.array([[one.value for one in row] for row in scores])


def _reseeded(source: ModelSource) -> Callable[[], nn.Module]:
    """The same teacher with freshly drawn weights of the same distribution."""
    return lambda: _shuffled(source.build(0))


def _shuffled(network: nn.Module) -> nn.Module:
    """Every weight tensor's values in another order: another teacher, equally scaled."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            order = torch.randperm(parameter.numel(), generator=generator)
            parameter.copy_(parameter.flatten()[order].view_as(parameter))
    return network


def _compare(name: str, changed: str, before: Floats, after: Floats) -> Sensitivity:
    valid = np.isfinite(before) & np.isfinite(after)
    if not valid.any():
        return Sensitivity(name, changed, None, None, False)
    found = correlations.agreement(after[valid], before[valid]).spearman
    scale = np.maximum(np.abs(before[valid]), np.finfo(np.float64).tiny)
    change = float(np.median(np.abs(after[valid] - before[valid]) / scale))
    return Sensitivity(name, changed, found, change, change >= UNMOVED)
