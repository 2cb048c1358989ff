"""Training one student with a teacher."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autodas_dsl.compiler.interpret import NotFinite
from autodas_dsl.data.samples import Samples, as_batch
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.foreign import foreign
from autodas_dsl.language.inputs import Statistic
from autodas_dsl.spaces.base import suggestion
from autodas_dsl.statistics.forward import failure, logits_of
from autodas_dsl.training.losses import LOSSES
from autodas_dsl.training.recipe import Recipe, minimise, shuffled
from autodas_dsl.training.watching import Distance, Seen, watched

LOGITS = Statistic("P_s")
CHUNK = 256
"""Examples that are tested at once."""


class Examples(Protocol):
    """Inputs ``x`` [n, ...] and labels ``y`` [n]."""

    @property
    def x(self) -> Tensor: ...

    @property
    def y(self) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class Distilled:
    """What came of it.

    Attributes
    ----------
    student : Module
        The trained student, in eval mode.
    losses : tuple of float
        The whole loss at each step.
    accuracy : float or None
        Share of the held-out examples named right, if there were any.
    """

    student: nn.Module
    losses: tuple[float, ...]
    accuracy: float | None


def distill(
    student: nn.Module,
    teacher: nn.Module,
    data: Examples | Samples,
    *,
    loss: str = "kd",
    weight: float | None = None,
    held_out: Examples | Samples | None = None,
    recipe: Recipe | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Distilled:
    """Train a student on labels and on what a teacher makes of the same inputs.

    The loss is (1 - alpha) CE + alpha weight L for the distillation loss L.

    Parameters
    ----------
    student : Module
        Trained in place; maps [B, ...] to logits [B, K].
    teacher : Module
        Left as it is, apart from eval mode.
    data, held_out
        (inputs, labels) as tensors or arrays, a torch Dataset or DataLoader, all of which is read
        into memory first, or anything with ``x`` and ``y``.
    loss : str
        A key of `LOSSES`.
    weight : float, optional
        Factor of the distillation loss; its usual one by default.
    recipe : Recipe, optional
    seed : int
        Of the order of the examples.
    progress : callable, optional
        Told the steps done, and of how many.

    Raises
    ------
    InputError
        Unknown loss (E730), networks of different classes or channels where the loss needs equal
        ones (E731), examples and labels of different number (E732), no classifier (E733) or
        feature map (E735) to be found, a loss that stops being finite (E734), labels outside the
        classes (E736), an unknown optimizer (E737), a temperature out of range (E739), data that is
        none (E430), or a network that fails on the examples or returns no logits.
    """
    if loss not in LOSSES:
        raise InputError("E730", f'there is no loss "{loss}"', suggestion(loss, [*LOSSES]))
    examples, tested = (
        _examples(data, seed),
        None if held_out is None else _examples(held_out, seed),
    )
    recipe = recipe or Recipe()
    distance = Distance(loss, recipe.temperature)
    look = watched(student.eval(), "s", distance.statistics)
    ask = watched(teacher.eval(), "t", distance.statistics)
    _check(look, ask, examples, distance)
    student.train()
    factor = recipe.alpha * (LOSSES[loss] if weight is None else weight)
    losses: list[float] = []
    batch = min(recipe.batch, len(examples.y))
    orders = shuffled(np.random.default_rng(seed), len(examples.y), recipe.steps, batch)

    def whole(step: int) -> Tensor:
        x, y = examples.x[orders[step]], examples.y[orders[step]]
        with torch.no_grad():
            wanted = ask(x)
        given = look(x)
        labels = (1 - recipe.alpha) * F.cross_entropy(given[LOGITS], y)
        try:
            found = labels + factor * distance(given, wanted).to(labels.dtype)
        except NotFinite as error:
            raise _diverged(error.value, step) from error
        losses.append(found.item())
        if not found.isfinite():
            raise _diverged(losses[-1], step)
        if progress is not None:
            progress(step + 1, recipe.steps)
        return found

    minimise(student, recipe, whole)
    student.eval()
    accuracy = None if tested is None else accuracy_of(student, tested)
    return Distilled(student, tuple(losses), accuracy)


def _diverged(loss: float, step: int) -> InputError:
    return InputError(
        "E734",
        f"the loss is {loss} at step {step + 1}",
        "lower the learning rate, or the weight of the distillation loss",
    )


def _examples(given: Examples | Samples, seed: int) -> Examples:
    if all(isinstance(getattr(given, name, None), Tensor) for name in ("x", "y")):
        return given
    return as_batch(given, seed=seed, everything=True)


@torch.no_grad()
def accuracy_of(network: nn.Module, examples: Examples) -> float:
    """The share of examples that a network in eval mode names right."""
    parts = zip(examples.x.split(CHUNK), examples.y.split(CHUNK), strict=True)
    right = sum(int((logits_of(network(x), len(x)).argmax(1) == y).sum()) for x, y in parts)
    return right / len(examples.y)


def _check(
    look: Callable[[Tensor], Seen],
    ask: Callable[[Tensor], Seen],
    data: Examples,
    distance: Distance,
) -> None:
    """Compare shapes on the first two examples, before any training."""
    if len(data.x) != len(data.y) or len(data.y) < 2:
        raise InputError(
            "E732",
            f"there are {len(data.x)} examples and {len(data.y)} labels",
            "give as many labels as examples, and at least two",
        )
    first = data.x[:2]
    with torch.no_grad(), foreign(lambda error: failure(error, first)):
        given, wanted = look(first), ask(first)
    classes = given[LOGITS].shape[1]
    if int(data.y.min()) < 0 or int(data.y.max()) >= classes:
        raise InputError(
            "E736",
            f"labels run from {int(data.y.min())} to {int(data.y.max())}, the student has "
            f"{classes} classes",
            f"labels count from 0 to {classes - 1}",
        )
    if misfit := distance.misfit(given, wanted):
        what, one, other = misfit
        raise InputError(
            "E731",
            f"the student has {one} {what}, the teacher {other}",
            f"take a teacher of the same {what}, or a loss that needs no equal ones",
        )
