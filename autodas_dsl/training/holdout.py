"""Examples kept apart from training, to test on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from autodas_dsl.data.batches import Batch
from autodas_dsl.language.errors import InputError


def hold_out(batch: Batch, share: float, seed: int = 0) -> tuple[Batch, Batch | None]:
    """Part examples at random into those to train on and those to test on.

    Parameters
    ----------
    batch : Batch
    share : float
        Of the examples to hold out, from 0 to below 1; 0 holds out none.
    seed : int

    Returns
    -------
    tuple of Batch
        Each in the order of `batch`; None where nothing is held out.

    Raises
    ------
    InputError
        E738, when one side would be empty.
    """
    if share == 0:
        return batch, None
    held = round(share * batch.size)
    if not 0 < held < batch.size:
        raise InputError(
            "E738", f"{share:g} of {batch.size} examples leaves nothing on one side",
            "give more examples, or another share",
        )  # fmt: skip
    order = np.random.Generator(np.random.Philox(seed)).permutation(batch.size)
    return _rows(batch, order[held:]), _rows(batch, order[:held])


def _rows(batch: Batch, rows: np.ndarray) -> Batch:
    chosen = torch.from_numpy(np.sort(rows))
    return replace(batch, x=batch.x[chosen], y=batch.y[chosen])
