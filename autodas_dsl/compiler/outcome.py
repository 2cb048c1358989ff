"""What evaluating one formula on several networks gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Outcome:
    """Scores of one formula.

    Parameters
    ----------
    scores : float64 array [networks]
        NaN exactly where the score is invalid.
    reasons : tuple of str
        Per network: why the score is invalid, empty where it is valid.
    """

    scores: NDArray[np.float64]
    reasons: tuple[str, ...]

    @property
    def valid(self) -> NDArray[np.bool_]:
        return ~np.isnan(self.scores)
