"""Scores of terms on the selection architectures, as sums take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from autodas_dsl.evolution.bagged import centred, settled

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scored:
    """Scores of all terms on the selection architectures of one table.

    Parameters
    ----------
    scores : float64 array [terms, n]
        NaN where invalid.
    accuracies : float64 array [n]
    """

    scores: Floats
    accuracies: Floats

    def __post_init__(self) -> None:
        if self.scores.ndim != 2 or self.scores.shape[1:] != self.accuracies.shape:
            raise ValueError(f"{self.scores.shape} scores for {self.accuracies.shape} accuracies")
        if not np.isfinite(self.accuracies).all():
            raise ValueError("an accuracy is not finite; leave unmeasured architectures out")


def usable(tables: Sequence[Scored]) -> npt.NDArray[np.int64]:
    """Terms that may enter a sum, ascending.

    They are valid everywhere and not constant on every table; of those that rank alike on all
    tables, forwards or backwards, it is the first.
    """
    scores = np.hstack([table.scores for table in tables])
    valid = np.flatnonzero(np.isfinite(scores).all(axis=1))
    twice = [2 * rankdata(table.scores[valid], axis=1) for table in tables]
    forward = np.hstack(twice).astype(">u4")
    backward = np.hstack([2 * rows.shape[1] + 2 - rows for rows in twice]).astype(">u4")
    constant = (forward == backward).all(axis=1)
    first: dict[bytes, int] = {}
    for place, term in enumerate(valid.tolist()):
        if not constant[place]:
            key = min(forward[place].tobytes(), backward[place].tobytes())
            first.setdefault(key, term)
    return np.array(list(first.values()), dtype=np.int64)


def signs(tables: Sequence[Scored], rows: npt.NDArray[np.int64]) -> Floats:
    """1 for terms that agree with the accuracies, -1 for those that agree reversed, ``[rows]``."""
    found = [
        centred(rankdata(table.scores[rows], axis=1)) @ centred(rankdata(table.accuracies)[None])[0]
        for table in tables
    ]
    return np.where(settled(np.mean(found, axis=0)) >= 0, 1.0, -1.0)
