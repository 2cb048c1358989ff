"""Scikit-learn's handwritten digits, split by position, with every one-pixel shift."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from autodas_dsl.data.digits import load_digits

TRAIN, SELECT = 300, 600
"""The first 300 images train, the next 600 choose hyper-parameters, the last 897 test.

The images are ordered by writer, so the test writers are strangers to the training ones.
"""

MEAN, STD = 0.305, 0.376
"""Of the pixels of the training images, scaled to [0, 1]."""

SHIFTS = tuple((down, right) for down in (-1, 0, 1) for right in (-1, 0, 1))


@dataclass(frozen=True)
class Split:
    """Images ``x`` [n, 1, 8, 8], normalised, and labels ``y`` [n]."""

    x: Tensor
    y: Tensor


@dataclass(frozen=True)
class Digits:
    """The three splits, and the training images under each of the nine shifts.

    Attributes
    ----------
    train, select, test : Split
    shifted : Tensor
        [9, 300, 1, 8, 8]; ``shifted[s]`` is ``train.x`` moved by ``SHIFTS[s]``, filled with paper.
    """

    train: Split
    select: Split
    test: Split
    shifted: Tensor


@lru_cache(maxsize=1)
def digits() -> Digits:
    """All 1,797 images; nothing is downloaded, scikit-learn carries them."""
    images, target = load_digits()
    grey = np.asarray(images, dtype=np.float32)[:, None] / np.float32(16)
    labels = torch.from_numpy(target)
    moved = np.stack([_shifted(grey[:TRAIN], down, right) for down, right in SHIFTS])
    cuts = [0, TRAIN, TRAIN + SELECT, len(grey)]
    train, select, test = (
        Split(_normalised(grey[start:end]), labels[start:end]) for start, end in pairwise(cuts)
    )
    return Digits(train, select, test, _normalised(moved))


def _normalised(grey: np.ndarray) -> Tensor:
    return torch.from_numpy((grey - np.float32(MEAN)) / np.float32(STD))


def _shifted(images: np.ndarray, down: int, right: int) -> np.ndarray:
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    height, width = images.shape[-2:]
    return padded[..., 1 - down : 1 - down + height, 1 - right : 1 - right + width]
