"""How far measured accuracies can be trusted: the noise ceiling, and what size alone explains."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Accuracies = NDArray[np.float64]
"""Rows are architectures, columns seeds."""


def noise_ceiling(accuracies: Accuracies, *, splits: int = 200, seed: int = 0) -> float:
    """The Spearman correlation that a perfect predictor of the true means would be held to.

    The seeds are cut in two halves at random; the correlation r between the halves' means,
    averaged over `splits` cuts, is that of a mean over half of the seeds. Spearman-Brown gives
    that of the mean over all of them: 2 r / (1 + r).

    Raises
    ------
    ValueError
        Fewer than two seeds or three architectures.
    """
    return spearman_brown(half_agreement(accuracies, splits=splits, seed=seed))


def half_agreement(accuracies: Accuracies, *, splits: int = 200, seed: int = 0) -> float:
    """Spearman between the means of disjoint halves of the seeds, averaged over random cuts."""
    rows, seeds = accuracies.shape
    if seeds < 2 or rows < 3:
        raise ValueError("the noise ceiling needs two seeds and three architectures")
    rng = np.random.default_rng(seed)
    half = seeds // 2
    found = []
    for _ in range(splits):
        order = rng.permutation(seeds)
        one = accuracies[:, order[:half]].mean(1)
        other = accuracies[:, order[half : 2 * half]].mean(1)
        found.append(spearman(one, other))
    return float(np.mean(found))


def spearman_brown(half: float) -> float:
    """The reliability of a mean over twice as many measurements."""
    return 2 * half / (1 + half)


def spearman(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Rank correlation with average ranks for ties."""
    return float(np.corrcoef(rankdata(one), rankdata(other))[0, 1])
