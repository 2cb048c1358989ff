"""Rank the architectures of a table with many formulas, and compare with measured accuracies."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from autodas_dsl.language.library import library_proxy
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.language.spans import InputError
from autodas_dsl.scoring import bootstrap, correlations, regret, splits
from autodas_dsl.scoring.score import NOISE, NOISE_NOTE, Data, Teacher
from autodas_dsl.scoring.scorebook import ScoreBook, setting_key
from autodas_dsl.scoring.scorer import Bound, Score, Scorer, bind, distinct, no_teacher
from autodas_dsl.scoring.together import Together
from autodas_dsl.spaces.base import Space
from autodas_dsl.statistics.batches import Batch, load_batch
from autodas_dsl.statistics.collect import belongs_to_teacher
from autodas_dsl.statistics.errors import OutOfMemory, of_network
from autodas_dsl.statistics.model_source import ModelSource
from autodas_dsl.tables.table import Table

Floats = npt.NDArray[np.float64]
Progress = Callable[[int, str], None]
BASELINES = ("params", "flops")
TOP = (1, 3)


def _silent(done: int, label: str) -> None:
    """No progress shown."""


@dataclass(frozen=True)
class Setting:
    """What networks are scored under.

    Parameters
    ----------
    data : Data
    teacher : Teacher, optional
    dtype : torch.dtype
    device : str
    classes : int, optional
        Classes of the networks; by default the space's.
    """

    data: Data = field(default_factory=Data)
    teacher: Teacher | None = None
    dtype: torch.dtype = torch.float32
    device: str = "cpu"
    classes: int | None = None


@dataclass(frozen=True)
class Ranked:
    """How one formula ranks a table.

    Correlations are oriented so that a positive one means that the formula is right; they are the
    mean over seeds, `*_std` the standard deviation over them (None for one seed). Intervals are
    of the scores averaged over seeds.
    """

    proxy: str
    n: int
    invalid: int
    ties: int
    kendall: float | None
    spearman: float | None
    pearson: float | None
    kendall_low: float | None
    kendall_high: float | None
    spearman_low: float | None
    spearman_high: float | None
    pearson_low: float | None
    pearson_high: float | None
    kendall_std: float | None
    spearman_std: float | None
    beyond_size: float | None
    regret_1: float
    regret_3: float
    seeds: int
    split: str
    baseline: bool
    reason: str


@dataclass(frozen=True, eq=False)
class Ranking:
    """The result of `rank`.

    Parameters
    ----------
    rows : tuple of Ranked
        Best Spearman first; params and flops are always among them.
    unranked : dict of str to str
        Formulas whose requirements these networks do not meet, with the requirement.
    scores : dict of str to float64 array [architectures]
        Oriented scores, averaged over seeds; NaN where invalid.
    accuracies : float64 array [architectures]
    architectures : tuple of str
    notes : tuple of str
    """

    rows: tuple[Ranked, ...]
    unranked: dict[str, str]
    scores: dict[str, Floats]
    accuracies: Floats
    architectures: tuple[str, ...]
    notes: tuple[str, ...]


def rank(
    table: Table,
    space: Space[Any],
    proxies: Sequence[Proxy],
    *,
    target: str | None = None,
    setting: Setting | None = None,
    seeds: int = 1,
    seed: int = 0,
    limit: int | None = None,
    split: str | None = None,
    book: ScoreBook | None = None,
    progress: Progress = _silent,
) -> Ranking:
    """Score every architecture of a table and correlate with its accuracies.

    Parameters
    ----------
    table : Table
    space : Space
        Builds the architectures.
    proxies : sequence of Proxy
        ``params`` and ``flops`` are added.
    target : str, optional
        Accuracy column; see `Table.target`.
    setting : Setting, optional
        Batch, teacher, precision.
    seeds : int
        Initialisations and batches to repeat with.
    limit : int, optional
        Only a seeded sample of so many architectures.
    split : str, optional
        Only the report side of a split, as `splits.split` names it.
    book : ScoreBook, optional
        Serves scores that were computed before and stores new ones.

    Raises
    ------
    InputError
    """
    formulas = with_baselines(proxies)
    chosen, accuracies = table.measured(target)
    unknown = len(table) - len(chosen)
    rows = chosen_rows(chosen, space, limit, split, seed)
    chosen, accuracies = chosen.rows(rows), accuracies[rows]
    runs, notes = score_table(
        chosen, space, formulas, setting or Setting(), seeds, seed, book, progress
    )
    if unknown:
        notes = (*notes, f"{unknown} of {len(table)} architectures have no {table.target(target)}")
    return summarize(formulas, runs, accuracies, chosen.architectures, notes, split or "all")


def with_baselines(proxies: Sequence[Proxy]) -> tuple[Bound, ...]:
    """The formulas, params and flops among them once each, under distinct names."""
    known = [bind(proxy) for proxy in proxies]
    nodes = {formula.node for formula in known}
    for name in BASELINES:
        baseline = bind(library_proxy(name))
        if baseline.node not in nodes:
            known.append(baseline)
    return distinct(known)


def chosen_rows(
    table: Table, space: Space[Any], limit: int | None, split: str | None, seed: int
) -> npt.NDArray[np.int64]:
    rows = np.arange(len(table), dtype=np.int64)
    if split:
        classes = splits.isomorphism_classes(table, space)
        rows = splits.split(classes, split, seed).report
    if limit is not None and limit < len(rows):
        texts = [table.architectures[row] for row in rows]
        rows = rows[splits.sample(texts, limit, seed)]
    return rows


# --- scoring the architectures ------------------------------------------------------------------


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
    needs = any(belongs_to_teacher(s) for f in formulas for s in f.statistics)
    if needs and setting.teacher is None:
        raise no_teacher(formulas)
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
    """The batch that the networks of a space are scored on."""
    return load_batch(
        setting.data.spec, size=size, seed=setting.data.seed + seed,
        input_shape=space.input_shape, classes=setting.classes or space.classes,
    )  # fmt: skip


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
        text = f"{cls.__module__}.{cls.__qualname__} {self.space.name} {architecture}"
        return hashlib.blake2b(
            f"{text} {self.setting.classes}".encode(), digest_size=12
        ).hexdigest()

    def _scorer(self, todo: tuple[int, ...]) -> Scorer:
        if todo not in self._scorers:
            self._scorers[todo] = Scorer(
                [self.formulas[i] for i in todo], self.batch, teacher=self.teacher,
                teacher_size=self._size, dtype=self.setting.dtype, seed=self.seed,
            )  # fmt: skip
        return self._scorers[todo]


def _formula_key(formula: Bound) -> str:
    return formula.node.digest


# --- from scores to correlations ----------------------------------------------------------------


def summarize(
    formulas: Sequence[Bound],
    runs: Sequence[Sequence[Sequence[Score]]],
    accuracies: Floats,
    architectures: Sequence[str],
    notes: Sequence[str] = (),
    split: str = "all",
) -> Ranking:
    """Correlations of scores ``[seed][architecture][formula]`` with accuracies."""
    params = next(i for i, f in enumerate(formulas) if f.node is bind(library_proxy("params")).node)
    sizes = np.array([row[params].value for row in runs[0]])
    rows, unranked, kept = [], {}, {}
    for place, formula in enumerate(formulas):
        values = np.array([[row[place].value for row in run] for run in runs]) * formula.sign
        misfits = {row[place].reason for run in runs for row in run if row[place].unmet}
        if misfits:
            unranked[formula.name] = sorted(misfits)[0]
            continue
        reasons = [row[place].reason for run in runs for row in run if row[place].reason]
        kept[formula.name] = values.mean(0)
        rows.append(_row(formula, values, accuracies, sizes, split, reasons))
    rows.sort(key=lambda row: (row.spearman is None, -(row.spearman or 0.0), row.proxy))
    return Ranking(
        tuple(rows), unranked, kept, accuracies, tuple(architectures), tuple(notes)
    )  # fmt: skip


def _row(
    formula: Bound,
    values: Floats,
    accuracies: Floats,
    sizes: Floats,
    split: str,
    reasons: list[str],
) -> Ranked:
    each = [correlations.agreement(one, accuracies) for one in values]
    mean = values.mean(0)
    overall = correlations.agreement(mean, accuracies)
    ends: dict[str, float | None] = {}
    for name in correlations.STATISTICS:
        found = bootstrap.interval(mean, accuracies, name)
        ends[f"{name}_low"] = found.low if found else None
        ends[f"{name}_high"] = found.high if found else None
    return Ranked(
        proxy=formula.name, n=overall.n, invalid=overall.invalid, ties=overall.ties,
        kendall=_mean([a.kendall for a in each]), spearman=_mean([a.spearman for a in each]),
        pearson=_mean([a.pearson for a in each]), kendall_std=_std([a.kendall for a in each]),
        spearman_std=_std([a.spearman for a in each]),
        beyond_size=correlations.beyond_size(mean, accuracies, sizes).value,
        regret_1=regret.top_k_regret(mean, accuracies, TOP[0]),
        regret_3=regret.top_k_regret(mean, accuracies, TOP[1]),
        seeds=len(values), split=split, baseline=formula.name in BASELINES,
        reason=overall.reason or (reasons[0] if reasons else ""), **ends,
    )  # fmt: skip


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def _std(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.std(known, ddof=1)) if len(known) == len(values) > 1 else None


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
