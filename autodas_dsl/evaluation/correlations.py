"""How well scores rank accuracies: Kendall tau-b, Spearman, Pearson, and what remains beyond size.

Invalid scores
--------------
A score that is not finite is invalid and **stays in the denominator**: it is ranked below every
valid one, all invalid scores tied with each other, and their number is reported. For Pearson,
which needs a value, it counts as the lowest valid score. Scores are oriented beforehand, so that
a higher one promises a better network.

Undefined correlations
----------------------
A correlation that is not defined is ``None`` with a reason, never NaN: all valid scores equal, all
accuracies equal, or fewer than five valid scores.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from autodas_dsl.compiler.population import rankdata
from autodas_dsl.tables.table import MINIMUM, Floats

STATISTICS = ("kendall", "spearman", "pearson")


PAIRS_UP_TO = 2_000
"""Architectures up to which all pairs are looked at; above, SciPy counts them by sorting."""

_COLLINEAR = 1e-12
"""A squared rank correlation this near to 1 leaves nothing beyond size."""


def checked(scores: npt.ArrayLike, accuracies: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Both as float64 ``[n]``, after the checks of `agreement.agreement`."""
    x = np.asarray(scores, dtype=np.float64)
    y = np.asarray(accuracies, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise ValueError(f"{x.shape} scores for {y.shape} accuracies")
    if not np.isfinite(y).all():
        raise ValueError("an accuracy is not finite; leave unmeasured architectures out")
    return x, y


def undefined(scores: Floats, accuracies: Floats) -> str:
    """Why no correlation is defined, or the empty text."""
    valid = scores[np.isfinite(scores)]
    if len(valid) < MINIMUM:
        return f"{len(valid)} of {len(scores)} scores are valid, at least {MINIMUM} are needed"
    if valid.min() == valid.max():
        return "all scores are equal"
    if accuracies.min() == accuracies.max():
        return "all accuracies are equal"
    return ""


def placed(scores: Floats) -> Floats:
    """Dense ranks from 1 up, ``[n]``; invalid scores are 0, below every valid one."""
    valid = np.isfinite(scores)
    ranks = np.zeros(len(scores))
    ranks[valid] = np.unique(scores[valid], return_inverse=True)[1] + 1
    return ranks


def filled(scores: Floats) -> Floats:
    """Scores with invalid ones replaced by the lowest valid score, for Pearson."""
    valid = np.isfinite(scores)
    return np.where(valid, scores, scores[valid].min())


def tied(values: Floats) -> int:
    """How many values are shared with another entry."""
    counts = np.unique(values, return_counts=True)[1]
    return int(counts[counts > 1].sum())


def pearson(x: Floats, y: Floats) -> float:
    """Pearson correlation of two vectors that are not constant.

    Each is scaled by its largest deviation first: scores such as SynFlow's reach 1e300, whose
    squares are not finite.
    """
    return float(np.clip(np.dot(unit(x), unit(y)), -1.0, 1.0))


def unit(values: Floats) -> Floats:
    """Centred and scaled to length 1, without overflow; the values are not all equal."""
    scaled = values / np.abs(values).max()
    centred = scaled - scaled.mean()
    centred /= np.abs(centred).max()
    return centred / np.sqrt(np.dot(centred, centred))


def kendall(x: Floats, y: Floats) -> float:
    """Tau-b of two vectors that are not constant: SciPy's, bit for bit, without its import."""
    if len(x) > PAIRS_UP_TO:
        from scipy.stats import kendalltau

        return float(kendalltau(x, y).statistic)
    first, second = np.triu_indices(len(x), k=1)
    xs, ys = (np.sign(values[first] - values[second]) for values in (x, y))
    tau = np.dot(xs, ys) / np.sqrt(np.count_nonzero(xs)) / np.sqrt(np.count_nonzero(ys))
    return float(np.clip(tau, -1.0, 1.0))


def spearman(x: Floats, y: Floats) -> float:
    """Spearman of two vectors that are not constant: SciPy's, bit for bit, without its import."""
    ranks = np.column_stack([rankdata(x), rankdata(y)])
    return float(np.asarray(np.corrcoef(ranks, rowvar=False))[1, 0])


def beyond_size(
    scores: npt.ArrayLike, accuracies: npt.ArrayLike, params: npt.ArrayLike
) -> float | None:
    """Partial Spearman correlation of scores and accuracies given log(params).

    First-order partial correlation of the ranks; ranks of log(params) are ranks of params.

    Parameters
    ----------
    scores, accuracies : array_like, shape [n]
        As in `agreement.agreement`.
    params : array_like, shape [n]
        Parameter counts, all positive.

    Returns
    -------
    float or None
        None where a side is constant or ranks exactly as the parameter count does.
    """
    x, y = checked(scores, accuracies)
    size = np.asarray(params, dtype=np.float64)
    if undefined(x, y) or np.ptp(size) == 0:
        return None
    xy, xz, yz = (
        pearson(rankdata(a), rankdata(b)) for a, b in ((placed(x), y), (placed(x), size), (y, size))
    )
    rest = (1 - xz**2) * (1 - yz**2)
    if rest < _COLLINEAR:
        return None
    return float(np.clip((xy - xz * yz) / np.sqrt(rest), -1.0, 1.0))
