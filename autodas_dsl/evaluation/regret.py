"""What choosing by a proxy costs: the accuracy lost against the true best."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from autodas_dsl.evaluation.correlations import checked, placed


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
