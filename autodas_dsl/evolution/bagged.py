"""How well sums rank accuracies, on average over random parts of the architectures.

A part is a *bag*: a random 75 % of the architectures of a table. A sum that is good in every bag
does not hang on a few architectures.
"""

from __future__ import annotations

from math import ceil

import numpy as np
import numpy.typing as npt

from autodas_dsl.compiler.population import rankdata
from autodas_dsl.execution.randomness import Purpose, Stream

Floats = npt.NDArray[np.float64]

_FEWEST = 5
_DECIMALS = 12
_FLAT = 1e-12


def bags_of(n: int, bags: int, share: float, seed: int, table: int) -> npt.NDArray[np.bool_]:
    """Random parts of `n` architectures, ``[bags, n]``.

    Parameters
    ----------
    share : float
        Of the architectures that a bag holds; at least five are drawn where there are five.
    table : int
        Number of the table: tables do not share their streams.
    """
    size = min(n, max(_FEWEST, ceil(share * n)))
    found = np.zeros((bags, n), dtype=bool)
    for bag in range(bags):
        found[bag, Stream(seed, bag, table, Purpose.BAGS).sample(range(n), size)] = True
    return found


def settled(sums: Floats) -> Floats:
    """Sums without the noise of their last digits, which would part equal ones."""
    return np.round(sums, _DECIMALS)


class Bagged:
    """Spearman of sums with the accuracies of one table, in every bag.

    Where it is undefined, because all sums or all accuracies of a bag are equal, it is 0.

    Parameters
    ----------
    accuracies : float64 array [n]
    bags : bool array [bags, n]
    """

    def __init__(self, accuracies: Floats, bags: npt.NDArray[np.bool_]) -> None:
        self._rows = [np.flatnonzero(bag) for bag in bags]
        self._ranks = [centred(rankdata(accuracies[rows])) for rows in self._rows]

    def __call__(self, sums: Floats) -> Floats:
        """Agreement of each sum ``[sums, n]`` in each bag, ``[sums, bags]``."""
        sums = settled(sums)
        found = [
            centred(rankdata(sums[:, rows], axis=1)) @ ranks
            for rows, ranks in zip(self._rows, self._ranks, strict=True)
        ]
        return np.stack(found, axis=1)


class Linear:
    """Pearson correlation of sums with the ranks of accuracies, for all terms by one product.

    What is found for ``base + term`` needs no sum to be made.

    Parameters
    ----------
    values : float64 array [terms, n]
    accuracies : float64 array [n]
    """

    def __init__(self, values: Floats, accuracies: Floats) -> None:
        self._values = values - values.mean(axis=1, keepdims=True)
        self._truth = centred(rankdata(accuracies))
        self._shared = self._values @ self._truth
        self._squares = (self._values**2).sum(axis=1)

    def __call__(self, bases: Floats) -> Floats:
        """Correlation of every ``base + term``, ``[bases, terms]``, of bases ``[bases, n]``."""
        moved = bases - bases.mean(axis=1, keepdims=True)
        products = (moved @ self._truth)[:, None] + self._shared
        squares = (moved**2).sum(axis=1)[:, None] + self._squares + 2 * (moved @ self._values.T)
        flat = squares < _FLAT
        return np.where(flat, 0.0, products / np.sqrt(np.where(flat, 1.0, squares)))


def centred(rows: Floats) -> Floats:
    """Rows of mean 0 and length 1; rows of equal values become 0."""
    moved = rows - rows.mean(axis=-1, keepdims=True)
    length = np.sqrt((moved**2).sum(axis=-1, keepdims=True))
    flat = length < _FLAT
    return np.asarray(np.where(flat, 0.0, moved / np.where(flat, 1.0, length)))
