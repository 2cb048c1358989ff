"""The batches of a training run, the same from any step on: out of memory, or from a stream."""

from __future__ import annotations

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from autodas_dsl.data.samples import Samples, as_batch, pairs, reading_fails
from autodas_dsl.execution.randomness import generator, seed_for
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.foreign import foreign
from autodas_dsl.training.augment import augmented
from autodas_dsl.training.recipe import Recipe

CHUNK = 256
"""Examples that are tested at once."""


@dataclass(frozen=True, slots=True, eq=False)
class Fed:
    """One batch.

    Attributes
    ----------
    x : Tensor
        Inputs ``[B, ...]``.
    y : Tensor
        Labels ``[B]``.
    rows : Tensor or None
        Numbers of the examples, where they have one.
    """

    x: Tensor
    y: Tensor
    rows: Tensor | None


class Feed(ABC):
    """Batches without end, in epochs.

    Parameters
    ----------
    examples : int or None
        How many there are, where each has a number.
    length, batch : int
        Of an epoch and of a step, in the same unit.
    recipe : Recipe
    seed : int
    """

    def __init__(
        self, examples: int | None, length: int, batch: int, recipe: Recipe, seed: int
    ) -> None:
        self.examples = examples
        self._length, self._batch, self._recipe, self._seed = length, batch, recipe, seed

    def epochs(self, steps: int) -> int:
        """Whole epochs in so many steps."""
        return steps * self._batch // self._length

    def steps(self, epochs: int) -> int:
        """Steps that go through the examples so many times."""
        return math.ceil(epochs * self._length / self._batch)

    @abstractmethod
    def batches(self, start: int) -> Iterator[Fed]:
        """The batches from a step on, counted from 0. Before each, torch is seeded by its number:
        what is drawn until the next depends on the step alone."""


class InMemory(Feed):
    """Examples in memory, shuffled in every epoch; a batch may span two.

    Parameters
    ----------
    x, y : Tensor
        Inputs ``[n, ...]`` and labels ``[n]``.
    recipe : Recipe
    seed : int
    """

    def __init__(self, x: Tensor, y: Tensor, recipe: Recipe, seed: int) -> None:
        super().__init__(len(y), len(y), min(recipe.batch, len(y)), recipe, seed)
        self.x, self.y = x, y

    def batches(self, start: int) -> Iterator[Fed]:
        count, step = len(self.y), start
        orders: dict[int, Tensor] = {}
        while True:
            torch.manual_seed(seed_for(self._seed, f"step {step}"))
            first = step * self._batch
            epochs = sorted({first // count, (first + self._batch - 1) // count})
            orders = {e: orders[e] if e in orders else self._order(e) for e in epochs}
            begin = first - epochs[0] * count
            rows = torch.cat([*orders.values()])[begin : begin + self._batch]
            yield Fed(augmented(self.x[rows], self._recipe), self.y[rows], rows)
            step += 1

    def _order(self, epoch: int) -> Tensor:
        rng = generator(seed_for(self._seed, f"epoch {epoch}"))
        return torch.from_numpy(rng.permutation(len(self.y)))


class Streamed(Feed):
    """A DataLoader, read anew in every epoch, so that what it draws at random differs each time.

    Parameters
    ----------
    loader : DataLoader
        Gives pairs of inputs and labels, and knows its length.
    recipe : Recipe
    seed : int
        Of torch, NumPy and `random` while the loader works.
    """

    def __init__(self, loader: DataLoader[Any], recipe: Recipe, seed: int) -> None:
        super().__init__(None, len(loader), 1, recipe, seed)
        self.loader = loader

    def batches(self, start: int) -> Iterator[Fed]:
        step = start - start % len(self.loader)
        while True:
            source = _read(self.loader)
            for _ in range(len(self.loader)):
                _reseed(seed_for(self._seed, f"step {step}"))
                found = next(source, None)
                if found is None:
                    raise InputError(
                        "E425", "the DataLoader ends before its length", "see its __len__"
                    )
                if step >= start:
                    yield Fed(augmented(found[0], self._recipe), found[1], None)
                step += 1


def _reseed(seed: int) -> None:
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002, what data sets of the user's draw from


def feed_of(data: Samples, recipe: Recipe, seed: int) -> Feed:
    """The batches of what the user gave.

    Raises
    ------
    InputError
        As `as_batch`; E732 for examples and labels of different number, or fewer than two.
    """
    if isinstance(data, Dataset) and not isinstance(data, IterableDataset) and len(data) > 1:  # type: ignore[arg-type]
        size = min(recipe.batch, len(data))  # type: ignore[arg-type]
        data = DataLoader(data, size, shuffle=True, drop_last=True)
    if isinstance(data, DataLoader) and _has_length(data):
        return Streamed(data, recipe, seed)
    x, y = _tensors(data, seed)
    if len(x) != len(y) or len(y) < 2:
        raise InputError(
            "E732", f"there are {len(x)} examples and {len(y)} labels",
            "give as many labels as examples, and at least two",
        )  # fmt: skip
    return InMemory(x, y, recipe, seed)


def parts_of(data: Samples) -> Any:
    """What to test on, `CHUNK` examples at a time or as a DataLoader gives them; may be gone
    through again."""
    if isinstance(data, DataLoader) and _has_length(data):
        return _Again(data)
    x, y = _tensors(data, 0)
    return list(zip(x.split(CHUNK), y.split(CHUNK), strict=True))


class _Again:
    def __init__(self, loader: DataLoader[Any]) -> None:
        self._loader = loader

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return _read(self._loader)


def _read(loader: DataLoader[Any]) -> Iterator[tuple[Tensor, Tensor]]:
    with foreign(lambda error: reading_fails(error, "DataLoader")):
        yield from pairs(loader, "DataLoader", None)


def _has_length(loader: DataLoader[Any]) -> bool:
    try:
        return len(loader) > 0
    except TypeError:  # of a stream
        return False


def _tensors(data: Any, seed: int) -> tuple[Tensor, Tensor]:
    x, y = getattr(data, "x", None), getattr(data, "y", None)
    if isinstance(x, Tensor) and isinstance(y, Tensor):
        return x, y
    batch = as_batch(data, seed=seed, everything=True)
    return batch.x, batch.y
