"""Random numbers that depend on nothing but what they are for.

`seed_for` gives a seed to each purpose, and `seeded` runs code that draws from global generators.
Every decision of a search draws from its own `Stream`, which depends on nothing but (seed,
generation, slot, purpose), so that the order in which formulas are made, or whether some were read
from a journal, changes nothing. Streams are the raw output of NumPy's Philox generator, which is
the same on every version and machine.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from enum import IntEnum
from itertools import accumulate
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    import torch

T = TypeVar("T")

_BLOCK = 32
_UNIT = 2.0**-53


def seed_for(seed: int, purpose: str) -> int:
    """A seed of its own for each purpose, so that the order of passes cannot matter."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:4], "little")


@contextmanager
def seeded(seed: int, device: torch.device | None = None, exact: bool = False) -> Iterator[None]:
    """Seed torch, NumPy and `random`, and have convolutions on a GPU repeat; all is given back as it
    was.

    Parameters
    ----------
    device : torch.device, optional
        Where random numbers are drawn too.
    exact : bool
        Let convolutions of a GPU round as their precision says, not to the 10 bits of TF32.
    """
    import torch

    accelerators = [device] if device is not None and device.type == "cuda" else []
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=accelerators))
        stack.callback(random.setstate, random.getstate())
        stack.callback(np.random.set_state, np.random.get_state())  # noqa: NPY002
        torch.default_generator.manual_seed(seed)
        for accelerator in accelerators:
            with torch.cuda.device(accelerator):
                torch.cuda.manual_seed(seed)
            rough = torch.backends.cudnn.allow_tf32 and not exact
            stack.enter_context(torch.backends.cudnn.flags(
                enabled=True, benchmark=False, deterministic=True, allow_tf32=rough,
            ))  # fmt: skip
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        yield


def generator(seed: int) -> np.random.Generator:
    """Draws of a seed in a row, for what decides nothing in a search."""
    return np.random.Generator(np.random.Philox(seed))


class Purpose(IntEnum):
    """What a stream is for; different purposes never share numbers."""

    FRESH = 1
    PARENTS = 2
    VARY = 3
    SHUFFLE = 4
    FOLDS = 5
    TEST = 6
    BAGS = 7
    PROPOSE = 8


def bits(seed: int, purpose: int, generation: int = 0, slot: int = 0) -> np.random.Philox:
    """The generator behind a stream; it would need 2**128 draws to reach its neighbour's."""
    return np.random.Philox(key=[seed, int(purpose)], counter=[0, 0, slot, generation])


class Stream:
    """A stream of random decisions.

    Parameters
    ----------
    seed, generation, slot : int
        Not negative.
    purpose : Purpose
    """

    def __init__(self, seed: int, generation: int, slot: int, purpose: Purpose) -> None:
        self._bits = bits(seed, purpose, generation, slot)
        self._block: list[int] = []

    def _raw(self) -> int:
        if not self._block:
            self._block = self._bits.random_raw(_BLOCK).tolist()
        return self._block.pop()

    def unit(self) -> float:
        """A number in [0, 1)."""
        return (self._raw() >> 11) * _UNIT

    def chance(self, probability: float) -> bool:
        return self.unit() < probability

    def below(self, n: int) -> int:
        """A whole number from 0 to n - 1."""
        return self._raw() * n >> 64

    def between(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + self.below(high - low + 1)

    def pick(self, items: Sequence[T]) -> T:
        return items[self.below(len(items))]

    def weighted(self, items: Sequence[T], weights: Sequence[float]) -> T:
        """One item, drawn with probability proportional to its weight."""
        bounds = list(accumulate(weights))
        mark = self.unit() * bounds[-1]
        return next((item for item, b in zip(items, bounds, strict=True) if mark < b), items[-1])

    def sample(self, items: Sequence[T], size: int) -> list[T]:
        """`size` different items in random order, or all of them."""
        left = list(items)
        return [left.pop(self.below(len(left))) for _ in range(min(size, len(left)))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        return self.sample(items, len(items))

    def normal(self) -> float:
        """Standard normal, by the sum of twelve uniform numbers."""
        return sum(self.unit() for _ in range(12)) - 6.0
