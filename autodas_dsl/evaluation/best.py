"""How much of the best a proxy puts first: nDCG@k, and the overlap of both sides' k best.

Both need more than k architectures. Where ties leave an order open, the value is the expected one
over a fair draw of the tied; invalid scores come after all valid ones and are tied.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from autodas_dsl.evaluation.correlations import checked, placed, undefined
from autodas_dsl.tables.table import Floats


def ndcg(scores: npt.ArrayLike, accuracies: npt.ArrayLike, k: int) -> float | None:
    """Normalised discounted cumulative gain of the k highest scores.

    The gain of an architecture is its accuracy on a scale from 0, the worst of all, to 1, the
    best, so that the unit of the accuracies does not matter; place p counts 1 / log2(1 + p).

    Parameters
    ----------
    scores, accuracies : array_like, shape [n]
        As in `agreement.agreement`.
    k : int
        Places that count.

    Returns
    -------
    float or None
        1 for the order of the accuracies; None where no correlation is defined, or n <= k.
    """
    x, y = checked(scores, accuracies)
    if len(x) <= k or undefined(x, y):
        return None
    gains = (y - y.min()) / (y.max() - y.min())
    return float(_gain(placed(x), gains, k) / _gain(gains, gains, k))


def overlap(scores: npt.ArrayLike, accuracies: npt.ArrayLike, k: int) -> float | None:
    """Share of the k most accurate architectures among the k highest scores.

    Parameters and return value as in `ndcg`; chance level is k / n.
    """
    x, y = checked(scores, accuracies)
    if len(x) <= k or undefined(x, y):
        return None
    return float(np.dot(_chances(placed(x), k), _chances(y, k)) / k)


def _gain(order: Floats, gains: Floats, k: int) -> float:
    """Discounted gain with the highest `order` first; tied ones share their places."""
    groups, counts = np.unique(-order, return_inverse=True, return_counts=True)[1:]
    discounts = 1 / np.log2(np.arange(len(order)) + 2)
    discounts[k:] = 0
    shared = np.add.reduceat(discounts, np.cumsum(counts) - counts) / counts
    return float(np.dot(gains, shared[groups]))


def _chances(order: Floats, k: int) -> Floats:
    """For each entry the chance to be among the k highest when ties are drawn fairly."""
    threshold = np.sort(order)[len(order) - k]
    above, tied = order > threshold, order == threshold
    return np.where(tied, (k - above.sum()) / tied.sum(), above)
