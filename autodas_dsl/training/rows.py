"""One row of a table: an architecture, and the accuracy of every seed, trained alone and taught.

What is here runs in worker processes, so everything that crosses is plain data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from autodas_dsl import spaces
from autodas_dsl.statistics.counts import multiply_adds
from autodas_dsl.statistics.network import Network
from autodas_dsl.training.digits import digits
from autodas_dsl.training.recipe import Recipe, accuracies, initialised, train

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


def single_threaded() -> None:
    """For a worker: the result of a sum may depend on the number of threads, so there is one."""
    torch.set_num_threads(1)


def train_row(
    space_name: str,
    arch: str,
    recipe: Recipe,
    seeds: tuple[int, int],
    teacher_logits: NDArray[np.float32],
) -> Row:
    """Train all replicas of one architecture and test them.

    Seed s starts from the same weights and sees the same batches in both columns.

    Parameters
    ----------
    seeds : tuple of int
        How many replicas learn alone, and how many are taught.
    teacher_logits : array
        [9, 300, 10]
    """
    alone, taught = seeds
    numbers = [*range(alone), *range(taught)]
    networks = [initialised(space_name, arch, seed) for seed in numbers]
    whole = train(
        networks,
        digits(),
        recipe,
        seeds=numbers,
        taught=[False] * alone + [True] * taught,
        teacher_logits=torch.from_numpy(teacher_logits),
    )
    found = [round(one, DECIMALS) for one in accuracies(whole, len(networks), digits().test)]
    return Row(arch, tuple(found[:alone]), tuple(found[alone:]))


def size(space_name: str, arch: str) -> tuple[int, int]:
    """Parameters, and multiply-adds of one input."""
    network = Network.of(initialised(space_name, arch, 0))
    x = torch.zeros(1, *spaces.get(space_name).input_shape)
    return sum(p.numel() for p in network.parameters.values()), int(multiply_adds(network, x))
