"""How a network is trained: the recipe, and the loop that follows it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor, nn

from autodas_dsl.language.errors import InputError
from autodas_dsl.spaces.base import suggestion


@dataclass(frozen=True, slots=True)
class Recipe:
    """One training run of a built-in table.

    Attributes
    ----------
    optimizer : str
        ``sgd`` (Nesterov, momentum 0.9) or ``adamw``.
    learning_rate, weight_decay : float
        The learning rate climbs linearly over the `warmup` share of the steps, then follows half
        a cosine to zero.
    steps, batch : int
    temperature, alpha : float
        Loss of a distilled network: alpha T^2 KL(teacher || student at T) + (1 - alpha) CE.
    """

    optimizer: str = "sgd"
    learning_rate: float = 0.1
    weight_decay: float = 5e-4
    steps: int = 350
    batch: int = 32
    warmup: float = 0.1
    temperature: float = 4.0
    alpha: float = 0.9

    def __str__(self) -> str:
        return ", ".join(f"{key} {value}" for key, value in asdict(self).items())

    def rate(self, step: int) -> float:
        """The learning rate's factor at a step counted from 0."""
        warm = max(1, round(self.warmup * self.steps))
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / (self.steps - warm)))


def minimise(network: nn.Module, recipe: Recipe, loss: Callable[[int], Tensor]) -> None:
    """Train a network by a recipe, on the loss of each step counted from 0.

    Raises
    ------
    InputError
        There is no such optimizer (E737).
    """
    optimizer = optimizer_of(network, recipe)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, recipe.rate)
    for step in range(recipe.steps):
        found = loss(step)
        optimizer.zero_grad(set_to_none=True)
        found.backward()
        optimizer.step()
        schedule.step()


def optimizer_of(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimizer over all parameters of a network.

    Raises
    ------
    InputError
        There is no such optimizer (E737).
    """
    rate, decay = recipe.learning_rate, recipe.weight_decay
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(network.parameters(), rate, weight_decay=decay)
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            network.parameters(), rate, momentum=0.9, weight_decay=decay, nesterov=True
        )
    known = ("adamw", "sgd")
    raise InputError(
        "E737", f'there is no optimizer "{recipe.optimizer}"', suggestion(recipe.optimizer, known)
    )


def shuffled(rng: np.random.Generator, examples: int, steps: int, batch: int) -> Tensor:
    """Numbers of examples [steps, batch], going through shuffled epochs."""
    epochs = math.ceil(steps * batch / examples)
    order = np.concatenate([rng.permutation(examples) for _ in range(epochs)])
    return torch.from_numpy(order[: steps * batch].reshape(steps, batch))
