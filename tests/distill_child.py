"""A training run, to be killed by tests in a process of its own."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from autodas_dsl.training.checkpoint import Checkpoint
from autodas_dsl.training.distillation import Trained, distill
from autodas_dsl.training.loop import Progress
from autodas_dsl.training.recipe import Recipe

RECIPE = Recipe("adamw", 0.01, steps=40, batch=8, schedule="step", flip=True, crop=1, patience=9)


def network(seed: int, width: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.Dropout(0.2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 4),
    )  # fmt: skip


def run(
    path: Path | None,
    resume: bool = False,
    *,
    every: float = 0.0,
    recipe: Recipe = RECIPE,
    loss: str = "hints",
    progress: Progress | None = None,
) -> Trained:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(60, 1, 6, 6, generator=generator), torch.arange(60) % 4
    x += y[:, None, None, None] * 0.3
    kept = None if path is None else Checkpoint(path, resume, every)
    return distill(
        network(1, 3), network(2, 5), (x[:40], y[:40]), loss=loss, validation=(x[40:50], y[40:50]),
        held_out=(x[50:], y[50:]), recipe=recipe, checkpoint=kept, progress=progress,
    )  # fmt: skip
