"""One row of a table: an architecture, and the accuracy of every seed, trained alone and taught."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from autodas_dsl import spaces
from autodas_dsl.models.spaces import space_source
from autodas_dsl.statistics.counts import multiply_adds
from autodas_dsl.statistics.network import Network
from autodas_dsl.training.digits import digits
from autodas_dsl.training.recipe import Recipe, accuracies, train

DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Row:
    """An architecture's text and its test accuracies, one for each seed.

    Attributes
    ----------
    arch : str
    vanilla, kd : tuple of float
        Shares of the test images, seed 0 first, to `DECIMALS` places as the file holds them.
    """

    arch: str
    vanilla: tuple[float, ...]
    kd: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Training:
    """How the rows of a table are trained; what a worker makes of it trains one.

    Parameters
    ----------
    space : str
    recipe : Recipe
    seeds : tuple of int
        How many replicas learn alone, and how many are taught.
    teacher_logits : array
        [9, 300, 10]
    """

    space: str
    recipe: Recipe
    seeds: tuple[int, int]
    teacher_logits: NDArray[np.float32]

    def __call__(self) -> Callable[[str], Row]:
        return self.row

    def row(self, arch: str) -> Row:
        """Train all replicas of one architecture and test them.

        Seed s starts from the same weights and sees the same batches in both columns.
        """
        alone, taught = self.seeds
        numbers = [*range(alone), *range(taught)]
        source = space_source(spaces.get(self.space), arch)
        whole = train(
            [source.build(seed) for seed in numbers], digits(), self.recipe, seeds=numbers,
            taught=[False] * alone + [True] * taught,
            teacher_logits=torch.from_numpy(self.teacher_logits),
        )  # fmt: skip
        found = [round(one, DECIMALS) for one in accuracies(whole, len(numbers), digits().test)]
        return Row(arch, tuple(found[:alone]), tuple(found[alone:]))


def size(space_name: str, arch: str) -> tuple[int, int]:
    """Parameters, and multiply-adds of one input."""
    space = spaces.get(space_name)
    network = Network.of(space_source(space, arch).build())
    x = torch.zeros(1, *space.input_shape)
    return sum(p.numel() for p in network.parameters.values()), int(multiply_adds(network, x))
