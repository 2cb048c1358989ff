"""The handwritten digits that scikit-learn carries, read without its import, which takes a second."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt


def load_digits() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Images ``[1797, 8, 8]`` of grey levels 0 to 16, and labels ``[1797]``.

    What ``sklearn.datasets.load_digits`` returns: the test set of E. Alpaydin and C. Kaynak,
    Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998.
    """
    found = find_spec("sklearn")
    assert found is not None  # it is among the requirements of this package
    assert found.origin is not None
    table = np.loadtxt(Path(found.origin).parent / "datasets/data/digits.csv.gz", delimiter=",")
    return table[:, :-1].reshape(-1, 8, 8), table[:, -1].astype(np.int64)
