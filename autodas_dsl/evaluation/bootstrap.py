"""Bootstrap intervals of correlations, our own: SciPy's bootstrap takes 4 to 100 times as long.

Architectures are drawn with replacement. A resample is a row of counts, how often each architecture
was drawn. Ranks of a resample follow from cumulated counts, and the pairs of Kendall's tau from one
matrix product, so that a thousand resamples are a few array operations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from autodas_dsl.evaluation.correlations import (
    PAIRS_UP_TO,
    checked,
    filled,
    kendall,
    placed,
    undefined,
    unit,
)
from autodas_dsl.execution.randomness import generator
from autodas_dsl.tables.table import Floats

RESAMPLES = 1_000
LEVEL = 0.95

_CELLS = 4_000_000
"""Cells of a block of counts, to bound memory."""

_ROUNDING = 1e-26
"""A weighted variance up to this is rounding: values are ranks, or of unit length."""

_SHARE_DEFINED = 0.5
"""An interval needs a defined correlation in at least this share of the resamples."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A bootstrap percentile interval.

    Attributes
    ----------
    low, high : float
        The 2.5 and 97.5 percentiles, unless another level was asked for.
    resamples : int
        Resamples in which the correlation was defined; the others are left out.
    """

    low: float
    high: float
    resamples: int


def interval(
    scores: npt.ArrayLike,
    accuracies: npt.ArrayLike,
    statistic: str = "spearman",
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Interval | None:
    """The percentile interval of ``kendall``, ``spearman`` or ``pearson``.

    None when the correlation is undefined, on all architectures or in most resamples.
    """
    x, y = checked(scores, accuracies)
    if undefined(x, y):
        return None
    return _percentiles(resampled(x, y, statistic, seed=seed, resamples=resamples), level)


def resampled(
    scores: Floats, accuracies: Floats, statistic: str, *, seed: int, resamples: int
) -> Floats:
    """The correlation in every resample, ``[resamples]``; NaN where it is undefined."""
    of_counts = _METHODS[statistic](scores, accuracies)
    blocks = [of_counts(counts) for counts in _draws(len(scores), resamples, seed)]
    return np.concatenate(blocks)


def _draws(n: int, resamples: int, seed: int) -> Iterator[Floats]:
    """Counts of `resamples` draws of n out of n, in blocks ``[b, n]``; each row sums to n."""
    rng = generator(seed)
    block = max(1, _CELLS // n)
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        drawn = rng.integers(n, size=(size, n)) + n * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n).astype(np.float64)


def _kendall(scores: Floats, accuracies: Floats) -> Callable[[Floats], Floats]:
    x = placed(scores)
    if len(x) > PAIRS_UP_TO:
        return lambda counts: np.array([_sorted_kendall(x, accuracies, row) for row in counts])
    xs = np.sign(x[:, None] - x[None, :])
    ys = np.sign(accuracies[:, None] - accuracies[None, :])
    matrices = (xs * ys, np.abs(xs), np.abs(ys))

    def of_counts(counts: Floats) -> Floats:
        agreed, x_untied, y_untied = (
            np.einsum("bn,bn->b", counts @ matrix, counts) for matrix in matrices
        )
        return _ratio(agreed, x_untied * y_untied)

    return of_counts


def _sorted_kendall(x: Floats, y: Floats, counts: Floats) -> float:
    drawn = np.repeat(np.arange(len(x)), counts.astype(np.int64))
    return kendall(x[drawn], y[drawn])


def _spearman(scores: Floats, accuracies: Floats) -> Callable[[Floats], Floats]:
    x = placed(scores)
    return lambda counts: _weighted_pearson(
        _weighted_ranks(x, counts), _weighted_ranks(accuracies, counts), counts
    )


def _pearson(scores: Floats, accuracies: Floats) -> Callable[[Floats], Floats]:
    x, y = (unit(values) for values in (filled(scores), accuracies))
    return lambda counts: _weighted_pearson(
        np.broadcast_to(x, counts.shape), np.broadcast_to(y, counts.shape), counts
    )


_METHODS = {"kendall": _kendall, "spearman": _spearman, "pearson": _pearson}


def _weighted_ranks(values: Floats, counts: Floats) -> Floats:
    """Average ranks ``[b, n]`` within each resample; ties share theirs."""
    group = np.unique(values, return_inverse=True)[1]
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    in_group = np.add.reduceat(counts[:, order], starts, axis=1)
    last = np.cumsum(in_group, axis=1)
    return (last - (in_group - 1) / 2)[:, group]


def _weighted_pearson(x: Floats, y: Floats, counts: Floats) -> Floats:
    """Pearson correlation in each resample, ``[b]``; NaN where one side is constant."""
    total = counts.sum(axis=1, keepdims=True)
    dx = x - np.einsum("bn,bn->b", counts, x)[:, None] / total
    dy = y - np.einsum("bn,bn->b", counts, y)[:, None] / total
    weighted = counts * dx
    xx = np.einsum("bn,bn->b", weighted, dx)
    yy = np.einsum("bn,bn,bn->b", counts, dy, dy)
    varied = np.minimum(xx, yy) > _ROUNDING * total[:, 0]
    return _ratio(np.einsum("bn,bn->b", weighted, dy), np.where(varied, xx * yy, 0.0))


def _ratio(top: Floats, squared: Floats) -> Floats:
    """top / sqrt(squared), NaN where that is not a correlation."""
    safe = squared > 0
    ratio = np.full(len(top), np.nan)
    ratio[safe] = np.clip(top[safe] / np.sqrt(squared[safe]), -1.0, 1.0)
    return ratio


def _percentiles(values: Floats, level: float) -> Interval | None:
    defined = values[~np.isnan(values)]
    if len(defined) < _SHARE_DEFINED * len(values):
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), len(defined))
