"""Options of the commands that measure formulas on a table, and what they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from autodas_dsl.cli import options
from autodas_dsl.cli.networks import data_of, device_of, dtype_of, teacher_of

if TYPE_CHECKING:
    from autodas_dsl.scoring.setting import Setting
    from autodas_dsl.spaces import Space


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
