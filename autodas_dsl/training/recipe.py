"""How a network is trained: the recipe, as a TOML file too, and the loop that follows it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.resolve import suggest
from autodas_dsl.language.toml import read_toml
from autodas_dsl.spaces.base import suggestion

OPTIMIZERS = ("sgd", "adamw")
SCHEDULES = ("cosine", "step", "constant")
_OF_TABLES = 8
"""The first fields of a recipe, which the provenance of every table says."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained; that of a built-in table has the first fields only.

    Attributes
    ----------
    optimizer : str
        ``sgd`` (Nesterov, momentum 0.9) or ``adamw``.
    learning_rate, weight_decay : float
        The learning rate climbs linearly over the `warmup` share of the steps, then follows
        `schedule`.
    steps, batch : int
        Batches, and examples in each.
    warmup : float
    temperature, alpha : float
        Loss of a network that `kd` distils: alpha T^2 KL(teacher || student at T) + (1 - alpha) CE.
    schedule : str
        After the warm-up: ``cosine``, half a cosine to zero; ``step``, a tenth of the rate from
        half of the steps on and a hundredth from three quarters (He et al., CVPR 2016, section
        4.2); ``constant``.
    epochs : int
        Where it is not 0: passes over the examples, instead of `steps`.
    flip : bool
        Each image is mirrored with probability 1/2.
    crop : int
        Pixels of padding, with zeros, around each image, of which a part of the size of the image
        is cut out at random; 0: none.
    patience : int
        Stop after so many epochs without a better accuracy on the validation part, and go back to
        the weights of the best epoch; 0: never, the last weights count.
    mixed_precision : bool
        The networks run in bfloat16 where that is accurate enough; on a GPU only.

    Raises
    ------
    InputError
        An unknown optimizer (E737) or schedule, or a number out of range (E742).
    """

    optimizer: str = "sgd"
    learning_rate: float = 0.1
    weight_decay: float = 5e-4
    steps: int = 350
    batch: int = 32
    warmup: float = 0.1
    temperature: float = 4.0
    alpha: float = 0.9
    schedule: str = "cosine"
    epochs: int = 0
    flip: bool = False
    crop: int = 0
    patience: int = 0
    mixed_precision: bool = False

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise InputError(
                "E737", f'there is no optimizer "{self.optimizer}"',
                suggestion(self.optimizer, OPTIMIZERS),
            )  # fmt: skip
        if self.schedule not in SCHEDULES:
            raise InputError(
                "E742", f'there is no schedule "{self.schedule}"',
                suggestion(self.schedule, SCHEDULES),
            )  # fmt: skip
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError("E742", f"{name} is from {low:g} to {high:g}, not {value:g}")

    def __str__(self) -> str:
        """The fields that every table says, and the others where they are not the usual ones."""
        usual = {field.name: field.default for field in fields(Recipe)[_OF_TABLES:]}
        said = {key: value for key, value in asdict(self).items() if usual.get(key) != value}
        return ", ".join(f"{key} {value}" for key, value in said.items())

    def rate(self, step: int) -> float:
        """The learning rate's factor at a step counted from 0."""
        warm = max(1, round(self.warmup * self.steps))
        if step < warm:
            return (step + 1) / warm
        if self.schedule == "constant":
            return 1.0
        if self.schedule == "step":
            return 0.1 ** ((2 * step >= self.steps) + (4 * step >= 3 * self.steps))
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / (self.steps - warm)))


_RANGES: dict[str, tuple[float, float]] = {
    "learning_rate": (1e-12, 1e6),
    "weight_decay": (0, 1e6),
    "steps": (1, 10**9),
    "batch": (2, 10**6),
    "warmup": (0, 1),
    "alpha": (0, 1),
    "epochs": (0, 10**6),
    "crop": (0, 1000),
    "patience": (0, 10**6),
}


def minimise(network: nn.Module, recipe: Recipe, loss: Callable[[int], Tensor]) -> None:
    """Train a network by a recipe, on the loss of each step counted from 0."""
    optimizer = optimizer_of(network.parameters(), recipe)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, recipe.rate)
    for step in range(recipe.steps):
        found = loss(step)
        optimizer.zero_grad(set_to_none=True)
        found.backward()
        optimizer.step()
        schedule.step()


def optimizer_of(parameters: Iterable[nn.Parameter], recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimizer."""
    rate, decay = recipe.learning_rate, recipe.weight_decay
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(parameters, rate, weight_decay=decay)
    return torch.optim.SGD(parameters, rate, momentum=0.9, weight_decay=decay, nesterov=True)


def shuffled(rng: np.random.Generator, examples: int, steps: int, batch: int) -> Tensor:
    """Numbers of examples [steps, batch], going through shuffled epochs."""
    epochs = math.ceil(steps * batch / examples)
    order = np.concatenate([rng.permutation(examples) for _ in range(epochs)])
    return torch.from_numpy(order[: steps * batch].reshape(steps, batch))


def read_recipe(path: Path, known: Collection[str]) -> dict[str, Any]:
    """What a file says, by the names of options with ``_`` for ``-``.

    Parameters
    ----------
    path : Path
    known : collection of str
        The names that it may use.

    Raises
    ------
    InputError
        E740 it cannot be read, or is no TOML; E741 it has a key that is not known.
    """
    try:
        found, _ = read_toml(path)
    except OSError as error:
        raise InputError("E740", f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(
            "E740", f"{path} is no TOML: {error}", "write lines such as `learning-rate = 0.05`"
        ) from error
    named = {key.replace("-", "_"): value for key, value in found.items()}
    for key, value in named.items():
        if isinstance(value, dict):
            raise InputError("E741", f"{path}: `[{key}]` is a table", "write keys without tables")
        if key not in known:
            shown = key.replace("_", "-")
            options = [name.replace("_", "-") for name in known]
            raise InputError(
                "E741", f"{path}: there is no option `{shown}`",
                suggest(shown, options) or f"the options are {', '.join(sorted(options))}",
            )  # fmt: skip
    return named
