"""Replicas of one architecture trained together, alone or with a teacher."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autodas_dsl.training.digits import Split
from autodas_dsl.training.lessons import Lessons
from autodas_dsl.training.recipe import Recipe, minimise, shuffled
from autodas_dsl.training.replicas import side_by_side

CHUNK = 1024
"""Inputs that are tested at once."""


def train(
    networks: Sequence[nn.Module],
    lessons: Lessons,
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
        Of each replica's order of inputs and versions.
    taught : sequence of bool
        Whether a replica learns from the teacher too, or from the labels alone.
    lessons : Lessons
        On the device to train on.
    teacher_logits : Tensor, optional
        [V, n, K], for each version and training input; needed when any replica is taught.

    Returns
    -------
    Module
        The replicas as one, [n, B, ...] -> [n, B, K], in eval mode.
    """
    device = lessons.views.device
    whole = side_by_side(networks, lessons.views[0, :2].cpu()).train().to(device)
    images, shifts = _orders(seeds, recipe, lessons)
    weight = torch.tensor([recipe.alpha if one else 0.0 for one in taught], device=device)[:, None]

    def loss(step: int) -> Tensor:
        image, shift = images[:, step], shifts[:, step]
        logits = whole(lessons.views[shift, image])
        labels = F.cross_entropy(
            logits.flatten(0, 1), lessons.labels[image].flatten(), reduction="none"
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
    """The share of a split's inputs that each replica names right."""
    right = torch.zeros(replicas, dtype=torch.int64)
    for x, y in zip(split.x.split(CHUNK), split.y.split(CHUNK), strict=True):
        right += (whole(x.expand(replicas, *x.shape)).argmax(-1) == y).sum(1).cpu()
    return (right.double() / len(split.y)).tolist()


def _orders(seeds: Sequence[int], recipe: Recipe, lessons: Lessons) -> tuple[Tensor, Tensor]:
    """Numbers of inputs and of their versions [n, steps, batch], of each replica."""
    versions, inputs = lessons.views.shape[:2]
    orders, moves = [], []
    for seed in seeds:
        rng = np.random.default_rng([seed, 1])
        orders.append(shuffled(rng, inputs, recipe.steps, recipe.batch))
        moves.append(torch.from_numpy(rng.integers(versions, size=orders[-1].shape)))
    return torch.stack(orders), torch.stack(moves)
