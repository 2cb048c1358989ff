"""A number per network seen against a population: its percentile, its standardised value."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def percentile(values: Floats, reference: Floats) -> Floats:
    """The share of the reference below each value, equal ones counted half.

    Parameters
    ----------
    values : float64 array [n]
        NaN stays NaN.
    reference : float64 array [m]
        At least one value, all finite.
    """
    known = np.sort(reference)
    below = np.searchsorted(known, values, side="left")
    not_above = np.searchsorted(known, values, side="right")
    return np.where(np.isnan(values), np.nan, (below + not_above) / (2.0 * len(known)))


def rankdata(values: npt.ArrayLike, axis: int = -1) -> Floats:
    """Ranks from 1 up along an axis; equal values share the mean of theirs.

    ``scipy.stats.rankdata`` without the import of ``scipy.stats``, the longest after torch's.

    Parameters
    ----------
    values : array_like
        None of them NaN.
    """
    values = np.moveaxis(np.asarray(values), axis, -1)
    order = np.argsort(values, axis=-1, kind="stable")
    ascending = np.take_along_axis(values, order, axis=-1)
    new = np.ones(values.shape, dtype=bool)
    new[..., 1:] = ascending[..., 1:] != ascending[..., :-1]
    starts = np.flatnonzero(new)
    counts = np.diff(starts, append=values.size)
    middles = starts % values.shape[-1] + (counts + 1) / 2
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, np.repeat(middles, counts).reshape(values.shape), axis=-1)
    return np.moveaxis(ranks, -1, axis)


def percentiles(rows: Floats) -> Floats:
    """Each row's `percentile` against itself, ``[..., n]``; all finite."""
    return np.asarray((rankdata(rows) - 0.5) / rows.shape[-1])


def standardise(values: Floats, centre: Floats | float, spread: Floats | float) -> Floats:
    """``(x - centre) / spread``; 0 where the spread is 0, for a constant tells nothing."""
    flat = np.equal(spread, 0)
    return np.where(flat, 0.0 * values, (values - centre) / np.where(flat, 1.0, spread))
