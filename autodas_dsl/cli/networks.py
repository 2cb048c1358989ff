"""What the shared options about networks and data mean; imported by commands that run networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from autodas_dsl.cli import options
from autodas_dsl.language.errors import InputError

if TYPE_CHECKING:
    import torch

    from autodas_dsl.models.source import ModelSource
    from autodas_dsl.scoring.setting import Data, Setting, Teacher
    from autodas_dsl.spaces import Space


def models_of(
    texts: Sequence[str], input_shape: tuple[int, ...] | None = None, classes: int | None = None
) -> list[ModelSource]:
    """All networks that MODEL arguments name, with another input shape or classes where told."""
    from autodas_dsl.models.load import load_models

    return [
        source
        for text in texts
        for source in load_models(text, input_shape=input_shape, classes=classes)
    ]


def teacher_of(
    teacher: str | None,
    teacher_weights: str | None,
    teacher_size: int | None,
    classes: int | None = None,
) -> Teacher | None:
    """The teacher of the three options, with as many classes as the students are told to have.

    Raises
    ------
    InputError
        E411 when weights or a size are given without a teacher.
    """
    if teacher is None:
        if teacher_weights is not None or teacher_size is not None:
            option = "--teacher-weights" if teacher_weights is not None else "--teacher-size"
            raise InputError("E411", f"{option} is given without a teacher", "add --teacher MODEL")
        return None
    from autodas_dsl.models.load import load_model
    from autodas_dsl.scoring.setting import Teacher

    return Teacher(load_model(teacher, classes=classes), teacher_size, teacher_weights or "")


def data_of(spec: str | None, size: int | None) -> Data:
    """Where the batch comes from: noise unless the user says."""
    from autodas_dsl.scoring.setting import NOISE, Data

    return Data(spec or NOISE, size)


def dtype_of(name: str) -> torch.dtype:
    import torch

    return {"float32": torch.float32, "float64": torch.float64}[name]


def device_of(name: str) -> str:
    """A device name, after trying it.

    Raises
    ------
    InputError
        E412 when this machine has no such device.
    """
    import torch

    try:
        torch.zeros(1, device=name).item()  # the meta device makes tensors, but no numbers
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            "E412", f"cannot use the device {name!r}: {reason}", "use --device cpu"
        ) from None
    return name


measured_on = options.together(
    options.space,
    click.option("--target", metavar="COLUMN,…",
                 help="The accuracy column, the first that the table has.  [default: kd, or the only one]"),
    options.taught,
    options.data(),
    options.batch_size,
    options.classes("the space's"),
    options.dtype,
    click.option("--limit", type=click.IntRange(5), metavar="N",
                 help="Only a random sample of N architectures."),
    options.seed,
    options.device,
)  # fmt: skip
"""Everything about the networks of a table: its space and target, teacher, data, precision."""


def setting_of(
    family: Space[Any],
    data_spec: str | None,
    batch_size: int | None,
    classes: int | None,
    dtype: str,
    device: str,
    **teaching: Any,
) -> Setting:
    """What the networks are scored under: the usual data and teacher unless others are given."""
    from autodas_dsl.scoring.setting import usual_setting

    return usual_setting(
        family, data_of(data_spec or family.data, batch_size), teacher_of(**teaching),
        dtype=dtype_of(dtype), device=device_of(device), classes=classes,
    )  # fmt: skip
