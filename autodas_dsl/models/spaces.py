"""An architecture of a space as a network to build."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from autodas_dsl import spaces
from autodas_dsl.models.source import ModelSource
from autodas_dsl.spaces.base import Space


@dataclass(frozen=True)
class FromSpace:
    """Builds the network of an architecture; pickled with its space, see `Space`."""

    space: Space[Any]
    architecture: str
    classes: int | None

    def __call__(self) -> Any:
        return self.space.build(self.space.parse(self.architecture), self.classes)


def space_source(space: Space[Any], architecture: str, classes: int | None = None) -> ModelSource:
    """The network of an architecture, with as many classes as its space has or as are told."""
    return ModelSource(
        f"{space.name}:{architecture}", FromSpace(space, architecture, classes),
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
