"""The teacher of a space: the usual one, or one that the user names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from autodas_dsl import spaces
from autodas_dsl.language.spans import InputError
from autodas_dsl.scoring.rank import Setting
from autodas_dsl.scoring.score import Data, Teacher
from autodas_dsl.spaces.base import Space
from autodas_dsl.statistics.model_source import ModelSource
from autodas_dsl.statistics.sources import load_models
from autodas_dsl.statistics.weights import load_weights
from autodas_dsl.tables.read import builtin_folder


def named_teacher(text: str, size: int | None = None, weights: str | None = None) -> Teacher:
    """The teacher that a MODEL argument names.

    Parameters
    ----------
    size : int, optional
        Height and width its images are resized to.
    weights : str, optional
        A file with its weights; without it the source's own, which may be random.

    Raises
    ------
    InputError
        E462 when the text names several models.
    """
    sources = load_models(text)
    if len(sources) > 1:
        names = ", ".join(source.name for source in sources)
        raise InputError(
            "E462", f"{text} holds several models: {names}", "a teacher is one network"
        )
    return Teacher(with_weights(sources[0], weights) if weights else sources[0], size)


def usual_teacher(space: Space[Any]) -> Teacher | None:
    """The teacher that a space names, with its trained weights where they are built in."""
    if space.teacher is None:
        return None
    text = space.teacher
    owner, arch = spaces.resolve(text) if ":" in text else (space, space.parse(text))
    source = ModelSource(
        f"{owner.name}:{owner.format(arch)}", lambda: owner.build(arch),
        tuple(owner.input_shape), owner.classes,
    )  # fmt: skip
    if space.teacher_weights is not None:
        source = with_weights(source, str(builtin_folder() / space.teacher_weights))
    return Teacher(source, space.teacher_size)


def usual_setting(
    space: Space[Any], data: Data | None = None, teacher: Teacher | None = None, **more: Any
) -> Setting:
    """What the networks of a space are scored under, where the user does not say otherwise."""
    return Setting(data or Data(space.data), teacher or usual_teacher(space), **more)


def with_weights(source: ModelSource, path: str) -> ModelSource:
    """The same network with weights from a file."""

    def make() -> nn.Module:
        network: nn.Module = source.make()
        load_weights(network, path)
        return network

    return replace(source, make=make, weights=f"weights from {Path(path).name}")
