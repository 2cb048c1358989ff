"""How the scores of a formula agree with accuracies: the one record of it, and what makes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from autodas_dsl.evaluation.bootstrap import Interval, interval
from autodas_dsl.evaluation.correlations import (
    STATISTICS,
    checked,
    filled,
    kendall,
    pearson,
    placed,
    spearman,
    tied,
    undefined,
)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How scores agree with accuracies.

    Attributes
    ----------
    n : int
        Architectures, the invalid ones included.
    invalid : int or None
        Architectures without a finite score; None where a record did not keep it.
    ties : int or None
        Architectures that share their valid score with another one; None as before.
    kendall, spearman, pearson : float or None
        Kendall tau-b, Spearman and Pearson correlation; None when undefined.
    reason : str
        Why they are undefined, or why a score is invalid; else empty.
    intervals : mapping of str to Interval
        95 % bootstrap intervals of those that were asked for and are defined.
    """

    n: int
    invalid: int | None
    ties: int | None
    kendall: float | None
    spearman: float | None
    pearson: float | None
    reason: str = ""
    intervals: Mapping[str, Interval] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """Every number under a name of its own; ends of intervals as ``kendall_low``, …"""
        found = {name: getattr(self, name) for name in ("n", "invalid", "ties", *STATISTICS)}
        for name in STATISTICS:
            known = self.intervals.get(name)
            found[f"{name}_low"] = known.low if known else None
            found[f"{name}_high"] = known.high if known else None
        return found | {"reason": self.reason}


def agreement(
    scores: npt.ArrayLike, accuracies: npt.ArrayLike, intervals: Sequence[str] = ()
) -> Agreement:
    """Kendall tau-b, Spearman and Pearson between scores and accuracies.

    Parameters
    ----------
    scores : array_like, shape [n]
        Higher promises better; NaN or infinite where a network could not be scored.
    accuracies : array_like, shape [n]
        All finite.
    intervals : sequence of str
        Correlations that get a bootstrap interval.

    Raises
    ------
    ValueError
        The shapes differ, or an accuracy is not finite.
    """
    x, y = checked(scores, accuracies)
    invalid = int(np.count_nonzero(~np.isfinite(x)))
    ties = tied(x[np.isfinite(x)])
    reason = undefined(x, y)
    if reason:
        return Agreement(len(x), invalid, ties, None, None, None, reason)
    ranked = placed(x)
    spread = {name: interval(x, y, name) for name in intervals}
    return Agreement(
        n=len(x),
        invalid=invalid,
        ties=ties,
        kendall=kendall(ranked, y),
        spearman=spearman(ranked, y),
        pearson=pearson(filled(x), y),
        intervals={name: found for name, found in spread.items() if found is not None},
    )
