"""One row of a table: an architecture, and the accuracy of every seed, trained alone and taught.

What is here runs in worker processes, so everything that crosses is plain data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from autodas_dsl import spaces
from autodas_dsl.training.digits import digits
from autodas_dsl.training.recipe import Recipe, accuracies, train

TEACHER_SPACE = "digits-resnet"
"""Every built-in table has this space's teacher, trained by the default recipe."""


@dataclass(frozen=True, slots=True)
class Row:
    """An architecture's text and its test accuracies, one for each seed.

    Attributes
    ----------
    arch : str
    vanilla, kd : tuple of float
        Shares of the test images, seed 0 first, to 6 decimals as the file holds them.
    """

    arch: str
    vanilla: tuple[float, ...]
    kd: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Taught:
    """What a trained teacher leaves behind.

    Attributes
    ----------
    weights : mapping of str to array
        Its state dict.
    logits : array
        [9, 300, 10]: for each shift and training image.
    select, test : float
        Its accuracies.
    """

    weights: Mapping[str, NDArray[np.float32]]
    logits: NDArray[np.float32]
    select: float
    test: float


def single_threaded() -> None:
    """For a worker: the result of a sum may depend on the number of threads, so there is one."""
    torch.set_num_threads(1)


def initialised(space_name: str, arch: str, seed: int) -> nn.Module:
    """The network of an architecture with the weights of a seed."""
    space = spaces.get(space_name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return space.build(space.parse(arch))


def train_teacher() -> dict[str, NDArray[np.float32]]:
    """Train the teacher on the labels; its state dict."""
    arch = spaces.get(TEACHER_SPACE).teacher
    assert arch is not None
    network = initialised(TEACHER_SPACE, arch, 0)
    whole = train([network], digits(), Recipe(), seeds=[0], taught=[False])
    inner = whole.get_submodule("whole").state_dict()
    return {
        key: inner[key].reshape(value.shape).contiguous().numpy()
        for key, value in network.state_dict().items()
    }


def consult(weights: Mapping[str, NDArray[np.float32]]) -> Taught:
    """Run a trained teacher once over all that its students will be trained on."""
    network = teacher_network(weights)
    data = digits()
    with torch.no_grad():
        logits = torch.stack([network(images) for images in data.shifted])
        right = [
            (network(part.x).argmax(1) == part.y).double().mean().item()
            for part in (data.select, data.test)
        ]
    return Taught(weights, logits.numpy(), *right)


def teacher_network(weights: Mapping[str, NDArray[np.float32]]) -> nn.Module:
    """The teacher in eval mode with the given state dict."""
    space = spaces.get(TEACHER_SPACE)
    assert space.teacher is not None
    network = space.build(space.parse(space.teacher))
    network.load_state_dict({key: torch.from_numpy(value) for key, value in weights.items()})
    return network.eval()


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
    found = [round(one, 6) for one in accuracies(whole, len(networks), digits().test)]
    return Row(arch, tuple(found[:alone]), tuple(found[alone:]))


def size(space_name: str, arch: str) -> tuple[int, int]:
    """Parameters, and multiply-adds of one input."""
    network = initialised(space_name, arch, 0).eval()
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network(torch.zeros(1, *spaces.get(space_name).input_shape))
    return sum(p.numel() for p in network.parameters()), counter.get_total_flops() // 2
