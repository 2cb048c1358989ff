"""Rank the architectures of a table with many formulas, and compare with measured accuracies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from autodas_dsl.evaluation import best, splits
from autodas_dsl.evaluation.agreement import Agreement, agreement
from autodas_dsl.evaluation.correlations import STATISTICS, beyond_size
from autodas_dsl.execution.jobs import Executor, InProcess
from autodas_dsl.execution.progress import Progress, silent
from autodas_dsl.execution.threads import one_thread
from autodas_dsl.language.library import library_proxy
from autodas_dsl.language.proxy import Proxy
from autodas_dsl.language.shown import Shown
from autodas_dsl.scoring.scorebook import ScoreBook
from autodas_dsl.scoring.scorer import (
    Bound,
    Score,
    bind,
    distinct,
    require_scored,
    require_teacher,
)
from autodas_dsl.scoring.setting import Setting
from autodas_dsl.scoring.table import score_table
from autodas_dsl.spaces.base import Space
from autodas_dsl.tables.table import MINIMUM, Table

Floats = npt.NDArray[np.float64]
BASELINES = ("params", "flops")
TOP = (1, 3)
BEST = 10
"""How many places nDCG and the overlap of the best look at."""

ALL, REACHABLE = "all", "reachable"
"""Which networks of a table are ranked: every one, or those whose output depends on the input."""


@dataclass(frozen=True, kw_only=True)
class Ranked(Agreement):
    """How one formula ranks a table.

    Correlations are oriented so that a positive one means that the formula is right; they are the
    mean over seeds, `*_std` the standard deviation over them (None for one seed). Intervals are
    of the scores averaged over seeds. `networks` is ``all`` or ``reachable``.
    """

    proxy: str
    kendall_std: float | None
    spearman_std: float | None
    beyond_size: float | None
    regret_1: float
    regret_3: float
    ndcg_10: float | None
    top_10: float | None
    networks: str
    seeds: int
    split: str
    baseline: bool

    def row(self) -> dict[str, Any]:
        """Everything about it under the names of columns; the reason last."""
        own = [f.name for f in fields(self)][len(fields(Agreement)) + 1 :]
        shared = {"proxy": self.proxy, **super().row()}
        reason = shared.pop("reason")
        return shared | {name: getattr(self, name) for name in own} | {"reason": reason}


@dataclass(frozen=True, eq=False)
class Ranking(Shown):
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
    reachable : Ranking, optional
        The same for the networks whose output depends on the input, where there are others.
    networks : str
        ``all``, or ``reachable`` for those.
    """

    rows: tuple[Ranked, ...]
    unranked: dict[str, str]
    scores: dict[str, Floats]
    accuracies: Floats
    architectures: tuple[str, ...]
    notes: tuple[str, ...]
    reachable: Ranking | None = None
    networks: str = ALL

    def __len__(self) -> int:
        return len(self.architectures)


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
    executor: Executor | None = None,
    progress: Progress = silent,
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
    executor : Executor, optional
        Scores the networks, and is closed at the end; by default this process. Each network is
        scored with one thread, so that the scores do not depend on it.

    Raises
    ------
    InputError
        Also when none of the formulas could be scored: E444 without a teacher that they all read,
        E461 where they fit none of the networks.
    """
    formulas = with_baselines(proxies)
    asked, setting = formulas[: len(proxies)], setting or Setting()
    require_teacher(asked, setting.teacher)
    chosen, accuracies = table.measured(target)
    unknown = len(table) - len(chosen)
    rows = chosen_rows(chosen, space, limit, split, seed)
    chosen, accuracies = chosen.rows(rows), accuracies[rows]
    with one_thread(), executor or InProcess() as workers:
        runs, notes = score_table(
            chosen, space, formulas, setting, seeds, seed, book, workers, progress
        )
    if unknown:
        notes = (*notes, f"{unknown} of {len(table)} architectures have no {table.target(target)}")
    ranking = summarize(formulas, runs, accuracies, chosen.architectures, notes, split or "all")
    require_scored(asked, ranking.unranked)
    return replace(ranking, reachable=_reachable(space, formulas, runs, ranking, split or "all"))


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


# --- from scores to correlations ----------------------------------------------------------------


def summarize(
    formulas: Sequence[Bound],
    runs: Sequence[Sequence[Sequence[Score]]],
    accuracies: Floats,
    architectures: Sequence[str],
    notes: Sequence[str] = (),
    split: str = "all",
    networks: str = ALL,
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
        rows.append(_row(formula, values, accuracies, sizes, split, networks, reasons))
    rows.sort(key=lambda row: (row.spearman is None, -(row.spearman or 0.0), row.proxy))
    return Ranking(
        tuple(rows), unranked, kept, accuracies, tuple(architectures), tuple(notes),
        networks=networks,
    )  # fmt: skip


def _reachable(
    space: Space[Any],
    formulas: Sequence[Bound],
    runs: Sequence[Sequence[Sequence[Score]]],
    ranking: Ranking,
    split: str,
) -> Ranking | None:
    """The ranking of the networks whose output depends on the input; None if all or few are."""
    texts = ranking.architectures
    kept = [place for place, text in enumerate(texts) if space.reachable(space.parse(text))]
    if len(kept) == len(texts) or len(kept) < MINIMUM:
        return None
    return summarize(
        formulas, [[run[place] for place in kept] for run in runs], ranking.accuracies[kept],
        [texts[place] for place in kept], split=split, networks=REACHABLE,
    )  # fmt: skip


def _row(
    formula: Bound,
    values: Floats,
    accuracies: Floats,
    sizes: Floats,
    split: str,
    networks: str,
    reasons: list[str],
) -> Ranked:
    each = [agreement(one, accuracies) for one in values]
    mean = values.mean(0)
    overall = agreement(mean, accuracies, STATISTICS)
    return Ranked(
        proxy=formula.name, n=overall.n, invalid=overall.invalid, ties=overall.ties,
        kendall=_mean([a.kendall for a in each]), spearman=_mean([a.spearman for a in each]),
        pearson=_mean([a.pearson for a in each]), kendall_std=_std([a.kendall for a in each]),
        spearman_std=_std([a.spearman for a in each]),
        beyond_size=beyond_size(mean, accuracies, sizes),
        regret_1=best.top_k_regret(mean, accuracies, TOP[0]),
        regret_3=best.top_k_regret(mean, accuracies, TOP[1]),
        ndcg_10=best.ndcg(mean, accuracies, BEST), top_10=best.overlap(mean, accuracies, BEST),
        networks=networks, seeds=len(values), split=split, baseline=formula.name in BASELINES,
        reason=overall.reason or (reasons[0] if reasons else ""), intervals=overall.intervals,
    )  # fmt: skip


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def _std(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.std(known, ddof=1)) if len(known) == len(values) > 1 else None
