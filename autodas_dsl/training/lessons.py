"""What the students of a table learn from, and what they are tested on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from autodas_dsl.data.batches import Batch, hold_out, load_batch
from autodas_dsl.data.samples import Samples, as_batch
from autodas_dsl.language.errors import InputError
from autodas_dsl.spaces.base import Space
from autodas_dsl.statistics.fingerprint import hash_values
from autodas_dsl.training.digits import SELECT, TRAIN, Split, digits

HELD_OUT = 0.25
"""Share of the samples that is tested on, where no others are given for that."""


@dataclass(frozen=True, eq=False)
class Lessons:
    """Samples to learn from and to be tested on.

    Attributes
    ----------
    views : Tensor
        [V, n, ...]: the training inputs in V versions, of which a step draws one for each.
    labels : Tensor
        [n]
    test : Split
    augmentation : str
        What the versions are, in words.
    said : mapping of str to str
        Where the samples come from: must agree for two builds to be one table.
    """

    views: Tensor
    labels: Tensor
    test: Split
    augmentation: str
    said: Mapping[str, str]

    def to(self, device: str) -> Lessons:
        """The same samples on a device."""
        test = Split(self.test.x.to(device), self.test.y.to(device))
        return replace(self, views=self.views.to(device), labels=self.labels.to(device), test=test)


def lessons_of(
    space: Space[Any], data: str | Samples | None = None, test: str | Samples | None = None
) -> Lessons:
    """The lessons of a space.

    Parameters
    ----------
    space : Space
    data : str or samples, optional
        As `load_batch` or `as_batch` takes it; by default what the space is usually scored on.
        ``digits`` are split by their writers and shifted by up to a pixel.
    test : str or samples, optional
        By default `HELD_OUT` of the data, at random.

    Raises
    ------
    InputError
        E722 for noise, or as `load_batch`, `as_batch` and `hold_out`.
    """
    given = space.data if data is None else data
    if isinstance(given, str) and given == "noise":
        raise InputError(
            "E722", "nothing can be learned from noise",
            "give samples: --data FILE.npz, a folder of images, digits or torchvision:NAME",
        )  # fmt: skip
    if isinstance(given, str) and given == "digits" and test is None:
        return _digits()
    whole = _read(given, space)
    train, tested = hold_out(whole, HELD_OUT) if test is None else (whole, _read(test, space))
    assert tested is not None, "a share is held out"
    how = f"a share of {HELD_OUT} held out at random" if test is None else "samples of their own"
    both = f"{hash_values((train.x, train.y))}, test {hash_values((tested.x, tested.y))}"
    said = {
        "data": f"{whole.source}; sha256 {both}",
        "splits": f"train {train.size}, test {tested.size}, {how}",
        "accuracies": f"share of the {tested.size} test samples, mean over seeds",
    }
    return Lessons(train.x[None], train.y, Split(tested.x, tested.y), "no augmentation", said)


def _digits() -> Lessons:
    held = digits()
    tests = len(held.test.y)
    said = {
        "data": "scikit-learn digits, 1797 handwritten 8x8 images in their order",
        "splits": f"train first {TRAIN}, selection next {SELECT} (not reported), test last {tests}",
        "accuracies": f"share of the {tests} test images, mean over seeds",
    }
    return Lessons(held.shifted, held.train.y, held.test, "shifts of up to 1 pixel", said)


def _read(given: str | Samples, space: Space[Any]) -> Batch:
    if not isinstance(given, str):
        return as_batch(given, everything=True)
    return load_batch(
        given, input_shape=space.input_shape, classes=space.classes, everything=True
    )  # fmt: skip
