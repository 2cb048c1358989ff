"""What the networks of a space are scored under where the user does not say otherwise."""

from __future__ import annotations

from typing import Any

from autodas_dsl import spaces
from autodas_dsl.scoring.rank import Setting
from autodas_dsl.scoring.score import Data, Teacher
from autodas_dsl.spaces.base import Space
from autodas_dsl.statistics.model_source import ModelSource
from autodas_dsl.tables.read import builtin_folder


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
    weights = str(builtin_folder() / space.teacher_weights) if space.teacher_weights else ""
    return Teacher(source, space.teacher_size, weights)


def usual_setting(
    space: Space[Any], data: Data | None = None, teacher: Teacher | None = None, **more: Any
) -> Setting:
    """The setting of a table: its space's data and teacher unless others are given."""
    return Setting(data or Data(space.data), teacher or usual_teacher(space), **more)
