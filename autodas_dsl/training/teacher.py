"""Teachers of tables: what they make of the samples, and the one of the built-in tables.

``python -m autodas_dsl.training.teacher FILE`` trains that one as it was trained.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.numpy import save
from torch import Tensor, nn

from autodas_dsl import spaces
from autodas_dsl.language.errors import InputError
from autodas_dsl.language.files import write_atomic
from autodas_dsl.language.foreign import foreign
from autodas_dsl.scoring.setting import Teacher, usual_teacher
from autodas_dsl.spaces.base import Space
from autodas_dsl.statistics.fingerprint import hash_values
from autodas_dsl.statistics.forward import failure, logits_of
from autodas_dsl.training.lessons import Lessons, lessons_of
from autodas_dsl.training.recipe import Recipe
from autodas_dsl.training.together import CHUNK, train

TEACHER_SPACE = "digits-resnet"
"""Every built-in table has this space's teacher, trained by the default recipe."""


def consult(
    teacher: Teacher, lessons: Lessons, space: Space[Any], device: str = "cpu"
) -> tuple[Tensor, str]:
    """Run a teacher once, on a device, over all that its students will be trained and tested on.

    Returns
    -------
    logits : Tensor
        [V, n, K]: for each version of each training input, in main memory.
    said : str
        Which teacher it is and how good, in words.

    Raises
    ------
    InputError
        E725, for one that tells other classes apart than the networks of the space; E726, for one
        that guesses.
    """
    network = teacher.build().eval().to(device)
    with torch.no_grad(), foreign(lambda error: failure(error, lessons.test.x[:1])):
        logits = torch.stack([_logits(network, one, teacher.size, device) for one in lessons.views])
        tested = _logits(network, lessons.test.x, teacher.size, device)
    if tested.shape[1] != space.classes:
        raise InputError(
            "E725",
            f"the teacher {teacher.source.name} tells {tested.shape[1]} classes apart, the networks "
            f"of {space.name} {space.classes}",
            "take a teacher that was trained on this data, or train alone: --seeds N,0",
        )  # fmt: skip
    right = (tested.argmax(1) == lessons.test.y).double().mean().item()
    commonest = lessons.test.y.bincount().max().item() / len(lessons.test.y)
    if right <= commonest:
        raise InputError(
            "E726",
            f"the teacher {teacher.source.name} names {right:.1%} of the test samples right, which "
            f"the commonest label does for {commonest:.1%}",
            "give its trained weights, --teacher-weights FILE, or train alone: --seeds N,0",
        )  # fmt: skip
    weights = hash_values(tensor for _, tensor in sorted(network.state_dict().items()))
    said = f"{teacher.source.name}, test {right:.4f}, sha256 {weights}"
    return logits, said


def _logits(network: nn.Module, x: Tensor, size: int | None, device: str) -> Tensor:
    parts = []
    for part in x.to(device).split(CHUNK):
        if size is not None:
            part = F.interpolate(part, size=(size, size), mode="bilinear", antialias=True)
        parts.append(logits_of(network(part), len(part)).cpu())
    return torch.cat(parts)


def train_teacher() -> dict[str, NDArray[np.float32]]:
    """Train the teacher of the built-in tables on the labels; its state dict."""
    space = spaces.get(TEACHER_SPACE)
    usual = usual_teacher(space)
    assert usual is not None
    network = usual.source.build()
    whole = train([network], lessons_of(space), Recipe(), seeds=[0], taught=[False])
    inner = whole.get_submodule("whole").state_dict()
    return {
        key: inner[key].reshape(value.shape).contiguous().numpy()
        for key, value in network.state_dict().items()
    }


if __name__ == "__main__":
    write_atomic(Path(sys.argv[1]), save(train_teacher()))
