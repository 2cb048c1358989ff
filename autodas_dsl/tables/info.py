"""What a table holds: counts, ranges, repeats, gaps, and how much of it is noise."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from autodas_dsl.execution.randomness import generator
from autodas_dsl.tables.table import MINIMUM, SIZES, Floats, Table

if TYPE_CHECKING:
    from autodas_dsl.spaces.base import Space

SPLITS = 200
"""Splits of the seeds over which the noise ceiling is averaged, unless fewer exist."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """How reproducible the ranking by a column is.

    Attributes
    ----------
    halves : float
        Spearman correlation between the means of two disjoint halves of the seeds, averaged over
        splits.
    all_seeds : float
        The same extrapolated by Spearman and Brown to two disjoint sets of all the seeds.
    seeds, splits : int
        Seeds of each row, and how many splits were averaged.
    """

    halves: float
    all_seeds: float
    seeds: int
    splits: int


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """One numeric column.

    Attributes
    ----------
    name : str
    known, missing, distinct : int
        Cells with a number, empty cells, different numbers.
    low, mean, high : float or None
        None when no cell is known.
    ceiling : Ceiling or None
        When per-seed columns are given.
    is_target : bool
        False for the columns that describe sizes.
    """

    name: str
    known: int
    missing: int
    distinct: int
    low: float | None
    mean: float | None
    high: float | None
    ceiling: Ceiling | None
    is_target: bool


@dataclass(frozen=True, slots=True)
class TableInfo:
    """A table in numbers.

    Attributes
    ----------
    name, space
        Of the table.
    architectures : int
        Rows.
    classes : int or None
        Architectures that differ up to isomorphism; None when the space is not known.
    largest_class : int or None
        Rows of the largest isomorphism class.
    reachable : int or None
        Architectures whose output depends on the input.
    columns : tuple of ColumnInfo
    provenance : dict
    """

    name: str
    space: str | None
    architectures: int
    classes: int | None
    largest_class: int | None
    reachable: int | None
    columns: tuple[ColumnInfo, ...]
    provenance: dict[str, str]


def describe(table: Table, space: Space[Any] | None = None) -> TableInfo:
    """Count and measure a table; `space` is needed to recognise isomorphic architectures."""
    classes = reachable = None
    if space is not None:
        architectures = [space.parse(text) for text in table.architectures]
        classes = Counter(map(space.canonical, architectures))
        reachable = sum(map(space.reachable, architectures))
    return TableInfo(
        name=table.name,
        space=table.space,
        architectures=len(table),
        classes=None if classes is None else len(classes),
        largest_class=None if classes is None else max(classes.values()),
        reachable=reachable,
        columns=tuple(_column(table, name) for name in table.columns),
        provenance=dict(table.provenance),
    )


def _column(table: Table, name: str) -> ColumnInfo:
    values = table.columns[name]
    known = values[~np.isnan(values)]
    return ColumnInfo(
        name=name,
        known=len(known),
        missing=len(values) - len(known),
        distinct=len(np.unique(known)),
        low=float(known.min()) if len(known) else None,
        mean=float(known.mean()) if len(known) else None,
        high=float(known.max()) if len(known) else None,
        ceiling=noise_ceiling(table.seeds[name]) if name in table.seeds else None,
        is_target=name not in SIZES,
    )


def noise_ceiling(seeds: Floats, *, splits: int = SPLITS, seed: int = 0) -> Ceiling | None:
    """How well one half of the seeds predicts the ranking by the other half.

    All ways to draw two disjoint halves are averaged when there are at most `splits`, else that
    many are drawn. With h seeds a half and s in all, Spearman and Brown's formula
    ``r' = m r / (1 + (m - 1) r)``, m = s / h, gives what two sets of s seeds would reach; halves
    that do not agree at all are not extrapolated. (The
    correlation of a perfect predictor with the mean over s seeds is bounded by sqrt(r').)

    Parameters
    ----------
    seeds : array, shape [n, s]
        One column for each seed; rows with a missing seed are left out.

    Returns
    -------
    Ceiling or None
        None with fewer than two seeds, fewer than five complete rows, or a constant half.
    """
    complete = seeds[~np.isnan(seeds).any(axis=1)]
    count = complete.shape[1]
    if count < 2 or len(complete) < MINIMUM:
        return None
    found = []
    for one, other in _halves(count, splits, seed):
        first, second = complete[:, one].mean(axis=1), complete[:, other].mean(axis=1)
        if np.ptp(first) == 0 or np.ptp(second) == 0:
            return None
        found.append(float(stats.spearmanr(first, second).statistic))
    halves = float(np.mean(found))
    longer = count / (count // 2) if halves > 0 else 1.0
    return Ceiling(halves, longer * halves / (1 + (longer - 1) * halves), count, len(found))


def _halves(count: int, splits: int, seed: int) -> Iterator[tuple[list[int], list[int]]]:
    """Pairs of disjoint sets of count // 2 seeds; an odd seed is left out in turn."""
    half = count // 2
    every = math.comb(count, half) * math.comb(count - half, half) // 2
    if every <= splits:
        for one in combinations(range(count), half):
            rest = [i for i in range(count) if i not in one]
            for other in combinations(rest, half):
                if one < other:
                    yield list(one), list(other)
        return
    rng = generator(seed)
    for _ in range(splits):
        order = rng.permutation(count).tolist()
        yield order[:half], order[half : 2 * half]
