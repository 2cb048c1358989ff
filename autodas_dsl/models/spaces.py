"""``SPACE:ARCH`` as a network to build."""

from __future__ import annotations

from autodas_dsl import spaces
from autodas_dsl.models.source import ModelSource


def space_source(text: str, classes: int | None = None) -> ModelSource:
    """The network of an architecture, with as many classes as its space has or as are told.

    Raises
    ------
    InputError
        There is no such space, or no such architecture in it.
    """
    space, arch = spaces.resolve(text)
    return ModelSource(
        text,
        lambda: space.build(arch, classes),
        tuple(space.input_shape),
        int(classes or space.classes),
    )
