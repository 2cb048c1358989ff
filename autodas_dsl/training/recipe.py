"""How networks are trained: the recipe, and the loop that trains the replicas of a table by it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autodas_dsl.language.errors import InputError
from autodas_dsl.spaces.base import suggestion
from autodas_dsl.training.digits import SHIFTS, Digits, Split
from autodas_dsl.training.replicas import side_by_side

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
        Loss of a distilled network: alpha T^2 KL(teacher || student at T) + (1 - alpha) CE, or
        another distillation loss in the place of the first.
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


def train(
    networks: Sequence[nn.Module],
    data: Digits,
    recipe: Recipe,
    *,
    seeds: Sequence[int],
    taught: Sequence[bool],
    teacher_logits: Tensor | None = None,
) -> nn.Module:
    """Train replicas of one architecture together, each on its own batches.

    Parameters
    ----------
    networks : sequence of Module
        The replicas, initialised; left as they are.
    seeds : sequence of int
        Of each replica's order of images and shifts.
    taught : sequence of bool
        Whether a replica learns from the teacher too, or from the labels alone.
    teacher_logits : Tensor, optional
        [9, 300, K], for each shift and training image; needed when any replica is taught.

    Returns
    -------
    Module
        The replicas as one, [n, B, ...] -> [n, B, K], in eval mode.
    """
    whole = side_by_side(networks).train()
    images, shifts = _orders(seeds, recipe, len(data.train.y))
    weight = torch.tensor([recipe.alpha if one else 0.0 for one in taught])[:, None]

    def loss(step: int) -> Tensor:
        image, shift = images[:, step], shifts[:, step]
        logits = whole(data.shifted[shift, image])
        labels = F.cross_entropy(
            logits.flatten(0, 1), data.train.y[image].flatten(), reduction="none"
        ).view(image.shape)
        loss = (1 - weight) * labels
        if teacher_logits is not None:
            soft = softened(logits, teacher_logits[shift, image], recipe.temperature)
            loss = loss + weight * soft
        return loss.mean(1).sum()

    minimise(whole, recipe, loss)
    return whole.eval()


def softened(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 KL(softmax(teacher / T) || softmax(student / T)) over the last axis (Hinton 2015)."""
    wanted = F.log_softmax(teacher / temperature, -1)
    given = F.log_softmax(student / temperature, -1)
    return temperature**2 * (wanted.exp() * (wanted - given)).sum(-1)


@torch.no_grad()
def accuracies(whole: nn.Module, replicas: int, split: Split) -> list[float]:
    """The share of a split's images that each replica names right."""
    logits = whole(split.x.expand(replicas, *split.x.shape))
    return (logits.argmax(-1) == split.y).double().mean(1).tolist()


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


def _orders(seeds: Sequence[int], recipe: Recipe, images: int) -> tuple[Tensor, Tensor]:
    """Image and shift numbers [n, steps, batch] of each replica."""
    orders, moves = [], []
    for seed in seeds:
        rng = np.random.default_rng([seed, 1])
        orders.append(shuffled(rng, images, recipe.steps, recipe.batch))
        moves.append(torch.from_numpy(rng.integers(len(SHIFTS), size=orders[-1].shape)))
    return torch.stack(orders), torch.stack(moves)
