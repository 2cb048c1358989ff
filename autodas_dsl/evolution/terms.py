"""Scores of terms on the selection architectures, as sums take them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from autodas_dsl.compiler.population import percentiles, standardise, symlog
from autodas_dsl.evolution.bagged import centred, settled

Floats = npt.NDArray[np.float64]

TRANSFORMS = ("percentile", "standardise")


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


def representatives(tables: Sequence[Scored]) -> npt.NDArray[np.int64]:
    """For each term the first that ranks alike on all tables, forwards or backwards, ``[terms]``.

    -1 for a term that is invalid somewhere, or constant on every table.
    """
    scores = np.hstack([table.scores for table in tables])
    found = np.full(len(scores), -1, dtype=np.int64)
    valid = np.flatnonzero(np.isfinite(scores).all(axis=1))
    twice = [2 * rankdata(table.scores[valid], axis=1) for table in tables]
    forward = np.hstack(twice).astype(">u4")
    backward = np.hstack([2 * rows.shape[1] + 2 - rows for rows in twice]).astype(">u4")
    constant = (forward == backward).all(axis=1)
    seen: dict[bytes, int] = {}
    for place, term in enumerate(valid.tolist()):
        if not constant[place]:
            key = min(forward[place].tobytes(), backward[place].tobytes())
            found[term] = seen.setdefault(key, term)
    return found


def signs(tables: Sequence[Scored], rows: npt.NDArray[np.int64]) -> Floats:
    """1 for terms that agree with the accuracies, -1 for those that agree reversed, ``[rows]``."""
    found = [
        centred(rankdata(table.scores[rows], axis=1)) @ centred(rankdata(table.accuracies)[None])[0]
        for table in tables
    ]
    return np.where(settled(np.mean(found, axis=0)) >= 0, 1.0, -1.0)


def transformed(rows: Floats, transform: str) -> Floats:
    """Scores as a sum takes them, each row against itself."""
    if transform == "percentile":
        return percentiles(rows)
    logs = symlog(rows)
    centre, spread = logs.mean(axis=1, keepdims=True), logs.std(axis=1, keepdims=True)
    return standardise(logs, centre, spread)
