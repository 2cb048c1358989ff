"""What choosing by a proxy is worth: nDCG@k, the overlap of both sides' k best, and the regret.

The first two need more than k architectures. Where ties leave an order open, the value is the expected one
over a fair draw of the tied; invalid scores come after all valid ones and are tied.
"""

from __future__ import annotations

import math

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


def top_k_regret(scores: npt.ArrayLike, accuracies: npt.ArrayLike, k: int = 1) -> float:
    """The best accuracy of all minus the best accuracy among the k highest scores.

    One who trains the proxy's k favourites and keeps the best loses this much. Where ties leave
    open who is among the k, the loss is the expected one over a fair draw of the tied; invalid
    scores come after all valid ones and are tied.

    Parameters
    ----------
    scores, accuracies : array_like, shape [n]
        As in `agreement.agreement`.
    k : int
        How many are chosen, from 1 to n.

    Returns
    -------
    float
        In the unit of the accuracies, 0 when the best is chosen.

    Raises
    ------
    ValueError
        k is not between 1 and n.
    """
    x, y = checked(scores, accuracies)
    if not 1 <= k <= len(x):
        raise ValueError(f"cannot choose {k} of {len(x)} architectures")
    ranks = placed(x)
    threshold = np.sort(ranks)[len(x) - k]
    sure = y[ranks > threshold]
    drawn = np.sort(y[ranks == threshold])[::-1]
    return float(y.max() - _expected_best(sure, drawn, k - len(sure)))


def _expected_best(sure: npt.NDArray, drawn: npt.NDArray, picks: int) -> float:
    """Expected maximum of `sure` and `picks` of `drawn`, which is sorted from high to low."""
    floor = float(sure.max()) if len(sure) else -math.inf
    draws = math.comb(len(drawn), picks)
    expected = 0.0
    for place, value in enumerate(drawn[: len(drawn) - picks + 1]):
        chance = math.comb(len(drawn) - place - 1, picks - 1) / draws
        expected += chance * max(float(value), floor)
    return expected
