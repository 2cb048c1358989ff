"""An architecture of a space as a network to build."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from autodas_dsl import spaces
from autodas_dsl.models.source import ModelSource
from autodas_dsl.spaces.base import Space


def _build(space: Space[Any], architecture: str, classes: int | None) -> Any:
    return space.build(space.parse(architecture), classes)


def space_source(space: Space[Any], architecture: str, classes: int | None = None) -> ModelSource:
    """The network of an architecture, with as many classes as its space has or as are told."""
    return ModelSource(
        f"{space.name}:{architecture}", partial(_build, space, architecture, classes),
        tuple(space.input_shape), int(classes or space.classes),
    )  # fmt: skip


def named_source(text: str, classes: int | None = None) -> ModelSource:
    """The network of ``SPACE:ARCH``.

    Raises
    ------
    InputError
        There is no such space, or no such architecture in it.
    """
    space, arch = spaces.resolve(text)
    return replace(space_source(space, space.format(arch), classes), name=text)
