"""A number per network seen against a population: its percentile, its standardised value."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

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


def percentiles(rows: Floats) -> Floats:
    """Each row's `percentile` against itself, ``[..., n]``; all finite."""
    return np.asarray((rankdata(rows, axis=-1) - 0.5) / rows.shape[-1])


def standardise(values: Floats, centre: Floats | float, spread: Floats | float) -> Floats:
    """``(x - centre) / spread``; 0 where the spread is 0, for a constant tells nothing."""
    flat = np.equal(spread, 0)
    return np.where(flat, 0.0 * values, (values - centre) / np.where(flat, 1.0, spread))
