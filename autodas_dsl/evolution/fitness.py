"""How good a formula is: agreement of its scores with accuracies on the selection architectures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from autodas_dsl.compiler.outcome import Outcome
from autodas_dsl.execution.randomness import Purpose, Stream

Floats = npt.NDArray[np.float64]
CONSTANT = "constant: the same score for every architecture"


class Kendall:
    """Kendall's tau-b against fixed accuracies.

    Parameters
    ----------
    accuracies : float64 array [n]
        At least two different values.
    """

    def __init__(self, accuracies: Floats) -> None:
        self._first, self._second = np.triu_indices(len(accuracies), k=1)
        signs = np.sign(accuracies[self._first] - accuracies[self._second])
        self._signs = signs.astype(np.float64)
        self._untied = int(np.count_nonzero(signs))

    def __call__(self, ranks: npt.NDArray[np.int64]) -> float:
        """Tau-b of scores given by their ranks ``[n]``; 0 where it is undefined."""
        signs = np.sign(ranks[self._first] - ranks[self._second]).astype(np.float64)
        pairs = float(np.count_nonzero(signs)) * self._untied
        return float(signs @ self._signs) / float(np.sqrt(pairs)) if pairs else 0.0


@dataclass(frozen=True, slots=True)
class Fitness:
    """What a search knows about a formula that can be ranked.

    Attributes
    ----------
    value : float
        What selection compares: `tau`, less its uncertainty over folds where there are folds.
    tau : float
        The objective over the tables, oriented so that it is positive.
    sign : int
        -1 when lower scores go with higher accuracy.
    taus : tuple of float
        Oriented, one per table.
    ranks : bytes
        How the networks of all tables are ranked, up to reversal: equal for formulas that rank
        alike, see `likeness`.
    """

    value: float
    tau: float
    sign: int
    taus: tuple[float, ...]
    ranks: bytes


class Objective:
    """Fitness from the outcomes on every table.

    Parameters
    ----------
    accuracies : sequence of float64 arrays
        Per table, those of the selection architectures.
    combine : str
        ``"mean"`` or ``"min"`` over the tables.
    folds : int
        0, or the parts of a jackknife: the standard error of tau over leave-one-part-out subsets
        is taken off, so that a formula that hangs on a few architectures loses.
    seed : int
        Of the folds.
    """

    def __init__(
        self, accuracies: Sequence[Floats], combine: str = "mean", folds: int = 0, seed: int = 0
    ) -> None:
        self._taus = [Kendall(values) for values in accuracies]
        self._combine = min if combine == "min" else _mean
        self._folds = [
            _leave_one_out(values, folds, seed, table) if folds else []
            for table, values in enumerate(accuracies)
        ]

    def __call__(self, outcomes: Sequence[Outcome]) -> Fitness | str:
        """Fitness of one formula from one outcome per table; why it cannot be ranked if it cannot."""
        for outcome in outcomes:
            if not outcome.valid.all():
                return next(reason for reason in outcome.reasons if reason)
        ranks = [_dense_ranks(outcome.scores) for outcome in outcomes]
        if any(int(r.max()) == 0 for r in ranks):
            return CONSTANT
        taus = [tau(r) for tau, r in zip(self._taus, ranks, strict=True)]
        sign = -1 if sum(taus) < 0 else 1
        oriented = tuple(sign * tau for tau in taus)
        tau = self._combine(oriented)
        value = tau - self._uncertainty(ranks, sign)
        return Fitness(value, tau, sign, oriented, _reversible(ranks))

    def _uncertainty(self, ranks: Sequence[npt.NDArray[np.int64]], sign: int) -> float:
        """Jackknife standard error of the combined tau; 0 without folds."""
        if not self._folds[0]:
            return 0.0
        parts = [
            self._combine(tuple(sign * tau(r[rows]) for (rows, tau), r in zip(fold, ranks, strict=True)))
            for fold in zip(*self._folds, strict=True)
        ]  # fmt: skip
        return jackknife_error(np.array(parts))


def jackknife_error(parts: Floats) -> float:
    """The standard error of a number, from what it is with each part of the data left out."""
    k = len(parts)
    return float(np.sqrt((k - 1) / k * np.sum((parts - np.mean(parts)) ** 2)))


def left_out(scores: Floats, accuracies: Floats, folds: int, seed: int, table: int) -> Floats:
    """Tau-b with each part of a jackknife left out ``[folds]``; 0 where it is undefined."""
    parts = _leave_one_out(accuracies, folds, seed, table)
    return np.array([tau(_dense_ranks(scores[rows])) for rows, tau in parts])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _leave_one_out(
    accuracies: Floats, folds: int, seed: int, table: int
) -> list[tuple[npt.NDArray[np.int64], Kendall]]:
    order = Stream(seed, 0, table, Purpose.FOLDS).shuffled(range(len(accuracies)))
    kept = [
        np.array(sorted(row for place, row in enumerate(order) if place % folds != fold))
        for fold in range(folds)
    ]
    return [(rows, Kendall(accuracies[rows])) for rows in kept]


def _dense_ranks(scores: Floats) -> npt.NDArray[np.int64]:
    return np.asarray(np.unique(scores, return_inverse=True)[1], dtype=np.int64).reshape(-1)


def _reversible(ranks: Sequence[npt.NDArray[np.int64]]) -> bytes:
    """Ranks as bytes, the smaller of a ranking and its reverse; see `likeness`."""
    backward = [r.max() - r for r in ranks]
    chosen = min(ranks, backward, key=lambda both: np.concatenate(both).astype(">u4").tobytes())
    return (np.concatenate([_unit(r) for r in chosen]) / np.sqrt(len(ranks))).tobytes()


def _unit(ranks: npt.NDArray[np.int64]) -> Floats:
    centred = ranks - ranks.mean()
    return np.asarray(centred / np.linalg.norm(centred))


def likeness(ranks: bytes, others: Sequence[bytes]) -> Floats:
    """How much a formula ranks networks as each of others does, or in reverse.

    Parameters
    ----------
    ranks, others : bytes, sequence of bytes
        `Fitness.ranks` over the same tables.

    Returns
    -------
    float64 array
        The correlation of dense ranks, its mean over the tables, without its sign.
    """
    rows = np.frombuffer(b"".join(others)).reshape(len(others), -1)
    return np.asarray(np.abs(rows @ np.frombuffer(ranks)).round(9))


def shuffled(accuracies: Floats, seed: int, table: int, repeat: int = 0) -> Floats:
    """Accuracies in a random order: what is found on them was found in nothing."""
    order = Stream(seed, repeat, table, Purpose.SHUFFLE).shuffled(range(len(accuracies)))
    return accuracies[np.array(order)]
