"""The teacher of the built-in tables: trained once, its weights kept, its logits cached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from autodas_dsl import spaces
from autodas_dsl.models.source import ModelSource
from autodas_dsl.scoring.setting import usual_teacher
from autodas_dsl.training.digits import digits
from autodas_dsl.training.recipe import Recipe, train

TEACHER_SPACE = "digits-resnet"
"""Every built-in table has this space's teacher, trained by the default recipe."""

TEACHER_FILE = "digits-teacher.safetensors"


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


def train_teacher() -> dict[str, NDArray[np.float32]]:
    """Train the teacher on the labels; its state dict."""
    network = _source().build()
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
    network = _source().build()
    network.load_state_dict({key: torch.from_numpy(value) for key, value in weights.items()})
    return network.eval()


def _source() -> ModelSource:
    usual = usual_teacher(spaces.get(TEACHER_SPACE))
    assert usual is not None
    return usual.source
